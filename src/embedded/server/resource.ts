// One served resource: where it is served, how it prints, and what creating and updating it adds. Built-in kinds are rows of
// such a table (builtins.ts), custom ones are made from their CustomResourceDefinition (custom-resource.ts).
import type { KindRef, KubeObject } from "../../api/meta.ts";
import type { ScalePaths } from "./scale.ts";
import type { StructuralSchema } from "./schema/structural.ts";

export type CellValue = string | number | boolean | null;

/** A column of kubectl get. `priority` above 0 shows with -o wide only. */
export interface Column {
  name: string;
  type: "string" | "integer" | "number" | "boolean" | "date";
  format?: string;
  description?: string;
  priority?: number;
  cell(object: KubeObject, nowMs: number): CellValue;
}

export interface FieldError {
  /** Dotted path, as in "spec.source.http". */
  field: string;
  /** metav1.CauseType. */
  reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueForbidden"
    | "FieldValueTypeInvalid"
    | "FieldValueDuplicate"
    | "FieldValueTooLong"
    | "FieldValueTooMany";
  /** Without the path in front. */
  message: string;
}

export interface CompiledSchema {
  /** Drops what the schema does not know. @returns the dotted paths dropped */
  prune(object: KubeObject): string[];
  fillDefaults(object: KubeObject): void;
  /** `old` is what it replaces, for rules that compare. */
  validate(object: KubeObject, old?: KubeObject): FieldError[];
}

export interface Resource extends KindRef {
  readonly group: string;
  readonly version: string;
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly hasStatus: boolean;
  /** Served from a CustomResourceDefinition. */
  readonly custom: boolean;
  /** Where replicas stand, for a kind that scales. */
  readonly scale?: ScalePaths;
  readonly hasGeneration: boolean;
  readonly nameRule: "subdomain" | "label" | "path";
  readonly columns: readonly Column[];
  readonly schema?: CompiledSchema;
  /** The schema as written in the CRD, for OpenAPI. */
  readonly structural?: StructuralSchema;
  /** Every field of the whole object, metadata included: what ownership of fields and OpenAPI v3 read. */
  readonly typed: StructuralSchema;
  /** Fields a selector may name, beside name and namespace. */
  readonly selectable?: readonly string[];
  /** Other verbs than the usual; a kind that is only ever asked about has none but create. */
  readonly verbs?: readonly string[];
  /** Complaints about an object as sent; `old` when it replaces one. */
  check?(sent: KubeObject, old?: KubeObject): FieldError[];
  /** Fills what the real server fills; `draft` may be changed. */
  prepareCreate?(draft: KubeObject): void;
  prepareUpdate?(draft: KubeObject, old: KubeObject): void;
}

/** "datavolumes.cdi.kubevirt.io", or "pods" in the core group. */
export const groupResource = ({ group, plural }: Resource): string => (group ? `${plural}.${group}` : plural);

export const groupOf = (apiVersion: string): string =>
  apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
export const versionOf = (apiVersion: string): string => apiVersion.split("/").at(-1) ?? "";

/** Keys sort by namespace, then name, as lists do. */
export const collectionPrefix = ({ apiVersion, plural }: KindRef, namespace?: string): string =>
  `${groupOf(apiVersion) || "core"}/${plural}/${namespace === undefined ? "" : `${namespace}/`}`;
export const keyFor = (kind: KindRef, namespace: string | undefined, name: string): string =>
  `${collectionPrefix(kind, kind.namespaced ? (namespace ?? "") : "")}${name}`;
