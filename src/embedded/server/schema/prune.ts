// Pruning: what a structural schema does not specify is dropped, and told. Source: apiextensions' structural pruning.
import { isRecord, type StructuralSchema } from "./structural.ts";

/** Changes `value`. @returns dotted paths of what was dropped */
export function pruneUnknown(value: unknown, schema: StructuralSchema, path = ""): string[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.flatMap((one, at) => pruneUnknown(one, items, `${path}[${at}]`)) : [];
  }
  if (!isRecord(value)) return [];
  const dropped: string[] = [];
  for (const [name, inner] of Object.entries(value)) {
    const at = path ? `${path}.${name}` : name;
    if (isMetaField(name, path, schema)) continue;
    const known = schema.properties?.[name] ?? schema.additionalProperties;
    if (isRecord(known)) dropped.push(...pruneUnknown(inner, known, at));
    else if (known !== true && schema["x-kubernetes-preserve-unknown-fields"] !== true) {
      delete value[name];
      dropped.push(at);
    }
  }
  return dropped;
}

const isMetaField = (name: string, path: string, schema: StructuralSchema): boolean =>
  ["apiVersion", "kind", "metadata"].includes(name) &&
  (path === "" || schema["x-kubernetes-embedded-resource"] === true);
