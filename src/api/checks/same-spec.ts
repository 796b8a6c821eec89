// Whether two specs mean the same: quantities by value, and an empty list equals an absent one, as apimachinery's
// semantic equality has it.
import { isDeepStrictEqual } from "node:util";
import { parseQuantity } from "../../lib/quantity.ts";
import type { DataVolumeSpec } from "../data-volume.ts";

export const sameSpec = (a: DataVolumeSpec, b: DataVolumeSpec): boolean => isDeepStrictEqual(meant(a), meant(b));

/** As `sameSpec`, whatever the checkpoints of a multi-stage import say. */
export const sameButCheckpoints = (a: DataVolumeSpec, b: DataVolumeSpec): boolean =>
  sameSpec(withoutCheckpoints(a), withoutCheckpoints(b));

function withoutCheckpoints(spec: DataVolumeSpec): DataVolumeSpec {
  const { checkpoints: _checkpoints, finalCheckpoint: _final, ...rest } = spec;
  return rest;
}

function meant(value: unknown, path: readonly string[] = []): unknown {
  if (isQuantityPath(path) && (typeof value === "string" || typeof value === "number")) {
    return parseQuantity(value) ?? value;
  }
  if (Array.isArray(value)) return value.map((item: unknown) => meant(item, path));
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, inner]) => !isEmptyCollection(inner));
  return Object.fromEntries(fields.map(([name, inner]) => [name, meant(inner, [...path, name])]));
}

/** Something like pvc.resources.requests.storage. */
const isQuantityPath = (path: readonly string[]): boolean =>
  path.at(-3) === "resources" && (path.at(-2) === "requests" || path.at(-2) === "limits");

/** Empty lists only: an empty object (`blank: {}`) is a choice made. */
const isEmptyCollection = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);
