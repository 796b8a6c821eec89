// What every operation of the server needs at hand, and the shapes they answer with.
import type { KubeObject } from "../../api/meta.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { Row, Store } from "../store/index.ts";
import type { AdmissionHook } from "../types.ts";
import type { UserInfo } from "./auth/user.ts";
import type { Registry } from "./registry.ts";
import type { Resource } from "./resource.ts";

export interface World {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
  readonly admission: readonly AdmissionHook[];
}

/** An object as it is answered: the frozen value, and the same as JSON. */
export interface Shown {
  readonly value: KubeObject;
  readonly text: string;
}

export const shownRow = (row: Row): Shown => ({ value: row.value as unknown as KubeObject, text: row.text });
export const shownValue = (value: KubeObject): Shown => ({ value, text: JSON.stringify(value) });
export const valueOf = (row: Row): KubeObject => row.value as unknown as KubeObject;

/** Versions of a custom kind differ in their name only. */
export const inVersion = (
  { apiVersion, custom }: Pick<Resource, "apiVersion" | "custom">,
  value: KubeObject,
): KubeObject => (!custom || value.apiVersion === apiVersion ? value : { ...value, apiVersion });
const converted = new WeakMap<Row, Map<string, Shown>>();
/** A row as one of the versions shows it; made once. */
export function shownIn(resource: Resource, row: Row): Shown {
  const value = valueOf(row);
  if (!resource.custom || value.apiVersion === resource.apiVersion) return shownRow(row);
  const versions = converted.get(row) ?? new Map<string, Shown>();
  converted.set(row, versions);
  const made = versions.get(resource.apiVersion) ?? shownValue(inVersion(resource, value));
  versions.set(resource.apiVersion, made);
  return made;
}

export interface WriteContext {
  /** Who writes. @default the server itself */
  readonly user?: UserInfo;
  readonly subresource?: "status" | "finalize";
  readonly dryRun?: boolean;
  /** What to do with fields the schema does not know. @default "Warn" */
  readonly fieldValidation?: "Ignore" | "Warn" | "Strict";
  /** Texts for the Warning headers of the answer. */
  readonly warn?: (text: string) => void;
  /** What decoding the body has found already: fields named twice. */
  readonly complaints?: readonly string[];
  /** Complaints are about what a patch made, not about a body. */
  readonly patching?: boolean;
  /** Who owns the fields that this write changes. @default "cdi-embedded" */
  readonly manager?: string;
  /** Owners of fields are settled: the draft carries them. */
  readonly tracked?: boolean;
}
