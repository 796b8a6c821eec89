// Lists with a meaning: no key twice in a list of maps, no value twice in a set.
import type { FieldError } from "../resource.ts";
import { isRecord, type StructuralSchema } from "./structural.ts";

const duplicate = (field: string, shown: unknown): FieldError => ({
  field,
  reason: "FieldValueDuplicate",
  message: `Duplicate value: ${JSON.stringify(shown)}`,
});

export function checkLists(value: unknown, schema: StructuralSchema, path = ""): FieldError[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    const all = value as unknown[];
    const inner = items ? all.flatMap((one, at) => checkLists(one, items, `${path}[${at}]`)) : [];
    return [...duplicates(all, schema, path), ...inner];
  }
  if (!isRecord(value)) return [];
  const rest = isRecord(schema.additionalProperties) ? (schema.additionalProperties as StructuralSchema) : undefined;
  return Object.entries(value).flatMap(([name, one]) => {
    const inner = schema.properties?.[name] ?? rest;
    return inner ? checkLists(one, inner, path === "" ? name : `${path}.${name}`) : [];
  });
}

function duplicates(all: readonly unknown[], schema: StructuralSchema, path: string): FieldError[] {
  const type = schema["x-kubernetes-list-type"];
  if (type !== "map" && type !== "set") return [];
  const keys = (schema["x-kubernetes-list-map-keys"] ?? []) as string[];
  const seen = new Set<string>();
  return all.flatMap((one, at) => {
    const shown = type === "set" || !isRecord(one) ? one : Object.fromEntries(keys.map((key) => [key, one[key]]));
    const text = JSON.stringify(shown);
    if (seen.has(text)) return [duplicate(`${path}[${at}]`, shown)];
    seen.add(text);
    return [];
  });
}
