// A CRD's schema, compiled: pruning, defaults, and validation by ajv with complaints in the real server's words.
import { Ajv, type ErrorObject } from "ajv";
import type { CompiledSchema, FieldError } from "../resource.ts";
import { fillDefaults } from "./defaults.ts";
import { checkLists } from "./lists.ts";
import { checkRules } from "./rules.ts";
import { pruneUnknown } from "./prune.ts";
import { isRecord, type StructuralSchema } from "./structural.ts";

const dateTime = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** @throws Error when the schema cannot be compiled */
export function compileSchema(schema: StructuralSchema): CompiledSchema {
  const ajv = new Ajv({
    strict: false,
    allErrors: true,
    verbose: true,
    unicodeRegExp: false,
    logger: false,
    formats: { "date-time": dateTime },
  });
  const check = ajv.compile(translate(withoutMeta(schema)));
  return {
    prune: (object) => pruneUnknown(object, schema),
    fillDefaults: (object) => fillDefaults(object, schema),
    validate(object, old) {
      // Rules speak of values of the right shape only.
      if (check(object)) return [...checkLists(object, schema), ...checkRules(object, schema, old)];
      const errors = (check.errors ?? []).flatMap((error) => complaintOf(error) ?? []);
      const seen = new Set<string>();
      return errors.filter(({ field, message }) => !seen.has(`${field} ${message}`) && seen.add(`${field} ${message}`));
    },
  };
}

/** metadata is checked by the server itself, for all kinds alike. */
function withoutMeta(schema: StructuralSchema): StructuralSchema {
  const { metadata: _metadata, ...properties } = schema.properties ?? {};
  return { ...schema, properties };
}

/** OpenAPI's words in JSON schema's: int-or-string is a pair of types. */
function translate(schema: StructuralSchema): object {
  const { properties, items, additionalProperties, default: _default, description: _description, ...rest } = schema;
  const anyNumber =
    schema["x-kubernetes-int-or-string"] === true ? { type: ["integer", "string"], anyOf: undefined } : {};
  const out: Record<string, unknown> = { ...rest, ...anyNumber };
  if (out["anyOf"] === undefined) delete out["anyOf"];
  // `nullable` needs a type in ajv; without one anything goes anyway.
  if (out["type"] === undefined) delete out["nullable"];
  if (properties) {
    out["properties"] = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, translate(inner)]));
  }
  if (items) out["items"] = translate(items);
  if (isRecord(additionalProperties)) out["additionalProperties"] = translate(additionalProperties);
  return out;
}

function complaintOf(error: ErrorObject): FieldError | undefined {
  const path = pathOf(error.instancePath);
  const params = error.params as Record<string, unknown>;
  const shown = JSON.stringify(error.data);
  const worded = (why: string): FieldError => ({
    field: path,
    reason: "FieldValueInvalid",
    message: `Invalid value: ${shown}: ${path} in body ${why}`,
  });
  switch (error.keyword) {
    case "required": {
      const name = String(params["missingProperty"]);
      return { field: path ? `${path}.${name}` : name, reason: "FieldValueRequired", message: "Required value" };
    }
    case "enum": {
      const allowed = (params["allowedValues"] as unknown[]).map((one) => JSON.stringify(one)).join(", ");
      return {
        field: path,
        reason: "FieldValueNotSupported",
        message: `Unsupported value: ${shown}: supported values: ${allowed}`,
      };
    }
    case "type": {
      const wanted = [params["type"]].flat().join(",");
      const seen = error.data === null ? "null" : Array.isArray(error.data) ? "array" : typeof error.data;
      const message = `Invalid value: "${seen}": ${path} in body must be of type ${wanted}: "${seen}"`;
      return { field: path, reason: "FieldValueTypeInvalid", message };
    }
    case "pattern": {
      const message = `Invalid value: ${shown}: ${path} in body should match '${String(params["pattern"])}'`;
      return { field: path, reason: "FieldValueInvalid", message };
    }
    case "minimum":
    case "maximum": {
      const word = error.keyword === "minimum" ? "greater" : "less";
      return worded(`should be ${word} than or equal to ${String(params["limit"])}`);
    }
    case "minLength":
      return worded(`should be at least ${String(params["limit"])} chars long`);
    case "maxLength":
      return {
        field: path,
        reason: "FieldValueTooLong",
        message: `Too long: may not be more than ${String(params["limit"])} bytes`,
      };
    case "minItems":
      return worded(`should have at least ${String(params["limit"])} items`);
    case "maxItems": {
      const count = Array.isArray(error.data) ? error.data.length : 0;
      const message = `Too many: ${count}: must have at most ${String(params["limit"])} items`;
      return { field: path, reason: "FieldValueTooMany", message };
    }
    case "format":
      return worded(`must be of type ${String(params["format"])}: ${shown}`);
    // The branches' own complaints say more.
    case "if":
      return undefined;
    default:
      return worded(error.message ?? "is invalid");
  }
}

/** "/spec/items/0/name" -> "spec.items[0].name" */
function pathOf(pointer: string): string {
  const words = pointer
    .split("/")
    .slice(1)
    .map((word) => word.replaceAll("~1", "/").replaceAll("~0", "~"));
  return words.reduce((path, word) => (/^\d+$/.test(word) ? `${path}[${word}]` : path ? `${path}.${word}` : word), "");
}
