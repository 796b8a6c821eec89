// A CustomResourceDefinition as served resources, one for each served version.
import type { KubeObject } from "../../api/meta.ts";
import { ageOf } from "./human-age.ts";
import { compilePath } from "./json-path.ts";
import type { CellValue, Column, Resource } from "./resource.ts";
import type { ScalePaths } from "./scale.ts";
import { metaSchema } from "./builtins/type-schemas.ts";
import { compileSchema } from "./schema/compile.ts";
import { isRecord, type StructuralSchema } from "./schema/structural.ts";

interface CrdColumn {
  name: string;
  type: Column["type"];
  jsonPath: string;
  format?: string;
  description?: string;
  priority?: number;
}
interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
  schema?: { openAPIV3Schema?: StructuralSchema };
  subresources?: { status?: object; scale?: ScalePaths };
  additionalPrinterColumns?: CrdColumn[];
  selectableFields?: { jsonPath: string }[];
}
export interface CrdSpec {
  group: string;
  scope: "Namespaced" | "Cluster";
  conversion?: { strategy: string };
  names: {
    plural: string;
    kind: string;
    singular?: string;
    listKind?: string;
    shortNames?: string[];
    categories?: string[];
  };
  versions: CrdVersion[];
}

export const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name must be unique within a namespace.",
  cell: (object) => object.metadata.name ?? "",
};
export const ageColumn: Column = {
  name: "Age",
  type: "string",
  description: "Time since creation.",
  cell: (object, now) => ageOf(object.metadata.creationTimestamp, now),
};
/** CRDs without columns of their own print the creation time as a date cell. */
const crdAgeColumn: Column = { ...ageColumn, type: "date" };

/** @throws Error when a schema cannot be compiled */
export function resourcesOf(crd: KubeObject): Resource[] {
  const spec = crd["spec"] as CrdSpec;
  return spec.versions.filter(({ served }) => served).map((version) => resourceOf(spec, version));
}

function resourceOf({ group, names, scope }: CrdSpec, version: CrdVersion): Resource {
  const structural = version.schema?.openAPIV3Schema ?? {
    type: "object",
    "x-kubernetes-preserve-unknown-fields": true,
  };
  const columns = version.additionalPrinterColumns?.map(columnOf) ?? [crdAgeColumn];
  return {
    apiVersion: `${group}/${version.name}`,
    group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    listKind: names.listKind ?? `${names.kind}List`,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: scope === "Namespaced",
    hasStatus: version.subresources?.status !== undefined,
    ...(version.subresources?.scale ? { scale: version.subresources.scale } : {}),
    custom: true,
    hasGeneration: true,
    nameRule: "subdomain",
    columns: [nameColumn, ...columns],
    selectable: version.selectableFields?.map(({ jsonPath }) => jsonPath.replace(/^\./, "")) ?? [],
    schema: compileSchema(structural),
    structural,
    typed: {
      ...structural,
      properties: {
        ...structural.properties,
        apiVersion: { type: "string" },
        kind: { type: "string" },
        metadata: metaSchema,
      },
    },
  };
}

function columnOf({ jsonPath, ...column }: CrdColumn): Column {
  const read = compilePath(jsonPath);
  return { ...column, cell: (object, now) => cellOf(read(object), column.type, now) };
}

function cellOf(value: unknown, type: Column["type"], now: number): CellValue {
  if (value === undefined || value === null) return type === "date" ? "<unknown>" : null;
  if (type === "date") return ageOf(value, now);
  if (typeof value === "string" && type !== "string") return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return JSON.stringify(value);
}

/** What the real server's controllers write soon after a definition is created, here in the same write. */
export function establish(draft: KubeObject, now: string): void {
  const spec = draft["spec"] as CrdSpec;
  spec.conversion ??= { strategy: "None" };
  spec.names.singular ??= spec.names.kind.toLowerCase();
  spec.names.listKind ??= `${spec.names.kind}List`;
  const old = isRecord(draft["status"]) ? draft["status"] : {};
  const condition = (type: string, reason: string, message: string): object => ({
    type,
    status: "True",
    lastTransitionTime: now,
    reason,
    message,
  });
  draft["status"] = {
    conditions: Array.isArray(old["conditions"])
      ? old["conditions"]
      : [
          condition("NamesAccepted", "NoConflicts", "no conflicts found"),
          condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    acceptedNames: spec.names,
    storedVersions: spec.versions.filter(({ storage }) => storage).map(({ name }) => name),
  };
}
