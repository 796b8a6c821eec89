// What the real server does when it decodes JSON into the Go type of a built-in kind: unknown fields are lost, nulls are
// nothing, and a value of the wrong type is refused.
import { isRecord, type StructuralSchema } from "./structural.ts";

export interface Decoded {
  /** Dotted paths of fields that were dropped. */
  readonly unknown: string[];
  /** Go's words for the first value that does not fit. */
  readonly wrong?: string;
}

/** Changes `value`. @param owner the kind, as it stands before the path in Go's words */
export function decodeBuiltin(value: unknown, schema: StructuralSchema, owner: string, at = ""): Decoded {
  const unknown: string[] = [];
  let wrong: string | undefined;
  const refuse = (one: unknown, path: string, type: string): void => {
    wrong ??= `json: cannot unmarshal ${jsonWord(one)} into Go struct field ${owner}.${path} of type ${type}`;
  };
  const walk = (one: unknown, its: StructuralSchema, path: string): void => {
    if (its["x-kubernetes-preserve-unknown-fields"] === true) return;
    const type = goTypeRefusing(one, its);
    if (type !== undefined) return refuse(one, path, type);
    if (Array.isArray(one)) {
      const { items } = its;
      if (items) for (const [index, item] of (one as unknown[]).entries()) walk(item, items, `${path}[${index}]`);
    } else if (isRecord(one)) fields(one, its, path);
  };
  const fields = (one: Record<string, unknown>, its: StructuralSchema, path: string): void => {
    for (const [name, inner] of Object.entries(one)) {
      const place = path === "" ? name : `${path}.${name}`;
      const known = its.properties?.[name] ?? its.additionalProperties;
      if (!isRecord(known)) {
        unknown.push(place);
        delete one[name];
      } else if (inner === null && its.properties) delete one[name];
      else {
        walk(inner, known, place);
        // Go leaves out maps and lists that hold nothing; structures it keeps.
        if (known.additionalProperties && isRecord(inner) && Object.keys(inner).length === 0) delete one[name];
      }
    }
  };
  walk(value, schema, at);
  return wrong === undefined ? { unknown } : { unknown, wrong };
}

const jsonWord = (value: unknown): string =>
  Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;

/** @returns the Go type when the value does not fit it */
function goTypeRefusing(value: unknown, schema: StructuralSchema): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (schema["x-kubernetes-int-or-string"] === true) {
    return typeof value === "string" || typeof value === "number" ? undefined : "resource.Quantity";
  }
  switch (schema.type) {
    case "string":
      return typeof value === "string" ? undefined : schema.format === "date-time" ? "v1.Time" : "string";
    case "integer":
      return Number.isInteger(value) ? undefined : "int32";
    case "number":
      return typeof value === "number" ? undefined : "float64";
    case "boolean":
      return typeof value === "boolean" ? undefined : "bool";
    case "array":
      return Array.isArray(value) ? undefined : "[]interface {}";
    case "object":
      return isRecord(value) ? undefined : schema.properties ? "struct" : "map[string]interface {}";
    default:
      return undefined;
  }
}
