// Objects seen through their schema, as ownership of fields needs them: which lists and maps are owned whole, and by what
// their items are told apart. Source: structured-merge-diff, typed.
import { isRecord, type StructuralSchema } from "../schema/structural.ts";

/** A list's items are told apart by keys, by their value, or not at all. */
export type ListKind = "map" | "set" | "atomic";

/** Where a schema says nothing: maps by key, lists whole. */
export const untyped: StructuralSchema = { "x-kubernetes-preserve-unknown-fields": true };

export const listKind = (schema: StructuralSchema): ListKind => {
  const kind = schema["x-kubernetes-list-type"];
  return kind === "map" || kind === "set" ? kind : "atomic";
};
export const isAtomicMap = (schema: StructuralSchema): boolean => schema["x-kubernetes-map-type"] === "atomic";

/** @returns undefined for a field the schema does not declare */
export function fieldSchema(schema: StructuralSchema, name: string): StructuralSchema | undefined {
  const declared = schema.properties?.[name];
  if (declared) return declared;
  if (isRecord(schema.additionalProperties)) return schema.additionalProperties as StructuralSchema;
  const open = schema.additionalProperties === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  return open || (schema.properties === undefined && schema.type === undefined) ? untyped : undefined;
}
export const isDeclared = (schema: StructuralSchema, name: string): boolean => schema.properties?.[name] !== undefined;
export const itemSchema = (schema: StructuralSchema): StructuralSchema => schema.items ?? untyped;

/** "k:{...}" or "v:..." of an item in a list that tells items apart. */
export function elementOf(schema: StructuralSchema, item: unknown): string {
  if (listKind(schema) === "set" || !isRecord(item)) return `v:${JSON.stringify(item)}`;
  const keys = schema["x-kubernetes-list-map-keys"] as readonly string[];
  const properties = itemSchema(schema).properties;
  const named = keys.toSorted().flatMap((key) => {
    const value = item[key] ?? properties?.[key]?.default;
    return value === undefined ? [] : [[key, value] as const];
  });
  return `k:${JSON.stringify(Object.fromEntries(named))}`;
}

/** What can be descended into: a map or a list whose parts have owners of their own. */
export const isGranular = (value: unknown, schema: StructuralSchema): boolean =>
  Array.isArray(value) ? listKind(schema) !== "atomic" : isRecord(value) && !isAtomicMap(schema);

export interface Part {
  readonly element: string;
  readonly value: unknown;
  readonly schema: StructuralSchema;
  /** A named field of a structure, as opposed to a key of a map or an item of a list. */
  readonly declared: boolean;
}

/** The parts of a granular value; later items with the keys of an earlier one are left out. */
export function partsOf(value: unknown, schema: StructuralSchema): Part[] {
  if (Array.isArray(value)) {
    const inner = itemSchema(schema);
    const parts = (value as unknown[]).map((item) => ({
      element: elementOf(schema, item),
      value: item,
      schema: inner,
      declared: false,
    }));
    return [...new Map(parts.toReversed().map((part) => [part.element, part])).values()].toReversed();
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).map(([name, inner]) => ({
    element: `f:${name}`,
    value: inner,
    schema: fieldSchema(schema, name) ?? untyped,
    declared: isDeclared(schema, name),
  }));
}
