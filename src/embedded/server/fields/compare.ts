// Which fields a value sets, and which two values differ in. Source: structured-merge-diff, ToFieldSet and Compare.
import { isDeepStrictEqual } from "node:util";
import { isRecord, type StructuralSchema } from "../schema/structural.ts";
import { insertPath, type FieldSet } from "./field-set.ts";
import { isGranular, partsOf, type Part } from "./typed.ts";

/** The fields that an applied configuration claims. */
export function fieldsOf(value: unknown, schema: StructuralSchema): FieldSet {
  const out: FieldSet = {};
  const walk = (path: readonly string[], { value: at, schema: its, declared }: Part): void => {
    if (!isGranular(at, its)) return insertPath(out, path);
    const parts = partsOf(at, its);
    for (const part of parts) walk([...path, part.element], part);
    const isEmptyMap = isRecord(at) && parts.length === 0;
    if (!declared || isEmptyMap) insertPath(out, path);
  };
  for (const part of partsOf(value, schema)) walk([part.element], part);
  return out;
}

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

export function compare(before: unknown, after: unknown, schema: StructuralSchema): Comparison {
  const out = { added: {}, modified: {}, removed: {} };
  const both = (path: readonly string[], a: unknown, b: unknown, its: StructuralSchema): void => {
    if (a === b) return;
    const alike = Array.isArray(a) === Array.isArray(b) && isGranular(a, its) && isGranular(b, its);
    if (!alike) {
      if (!isDeepStrictEqual(a, b)) insertPath(out.modified, path);
      return;
    }
    const left = new Map(partsOf(a, its).map((part) => [part.element, part]));
    for (const part of partsOf(b, its)) {
      const known = left.get(part.element);
      left.delete(part.element);
      const at = [...path, part.element];
      if (known) both(at, known.value, part.value, part.schema);
      else one(out.added, at, part);
    }
    for (const part of left.values()) one(out.removed, [...path, part.element], part);
  };
  const one = (set: FieldSet, path: readonly string[], { value, schema: its }: Part): void => {
    insertPath(set, path);
    if (!isGranular(value, its)) return;
    for (const part of partsOf(value, its)) one(set, [...path, part.element], part);
  };
  both([], before, after, schema);
  return out;
}
