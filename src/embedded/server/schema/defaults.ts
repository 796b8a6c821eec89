// Defaults of a structural schema, filled top down so that a default object gets its own defaults too.
import { isRecord, type StructuralSchema } from "./structural.ts";

/** Changes `value`. */
export function fillDefaults(value: unknown, schema: StructuralSchema): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const one of value) fillDefaults(one, schema.items);
    return;
  }
  if (!isRecord(value)) return;
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const absent = value[name] === undefined || (value[name] === null && inner.nullable !== true);
    // Null is no value where the schema does not allow it.
    if (absent && value[name] === null && inner.default === undefined) delete value[name];
    if (absent && inner.default !== undefined) value[name] = structuredClone(inner.default);
    fillDefaults(value[name], inner);
  }
  const rest = schema.additionalProperties;
  if (!isRecord(rest)) return;
  for (const [name, inner] of Object.entries(value)) if (!schema.properties?.[name]) fillDefaults(inner, rest);
}
