// Schema words TypeBox has no name for: what Kubernetes adds to OpenAPI v3, and how a declaration becomes plain JSON Schema.
import { Type, type Static, type TSchema } from "@sinclair/typebox";

/** A structural schema as a CRD carries it (apiextensions JSONSchemaProps). */
export interface PlainSchema {
  type?: string;
  format?: string;
  pattern?: string;
  default?: unknown;
  nullable?: boolean;
  enum?: string[];
  maxItems?: number;
  required?: string[];
  properties?: Record<string, PlainSchema>;
  additionalProperties?: PlainSchema;
  items?: PlainSchema;
  anyOf?: PlainSchema[];
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-list-type"?: string;
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: string;
  "x-kubernetes-validations"?: { rule: string; message: string }[];
}

const quantityPattern =
  "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

/** A resource quantity: text or a whole number on the wire. */
export const quantity = () =>
  Type.Unsafe<string | number>({
    anyOf: [{ type: "integer" }, { type: "string" }],
    pattern: quantityPattern,
    "x-kubernetes-int-or-string": true,
  });

/** A map with free keys. */
export const mapOf = <T extends TSchema>(values: T) =>
  Type.Unsafe<Record<string, Static<T>>>({ type: "object", additionalProperties: values });

/** One of these words; the list goes into the schema. */
export const wordOf = <const W extends readonly string[]>(words: W) =>
  Type.Unsafe<W[number]>({ type: "string", enum: [...words] });

/** Text that our types narrow and the schema leaves open, as upstream's does. */
export const openWord = <W extends string>() => Type.Unsafe<W>({ type: "string" });

export const int32 = () => Type.Integer({ format: "int32" });
export const int64 = () => Type.Integer({ format: "int64" });

/** The declaration as plain data: symbols gone, `required` sorted, empty `properties` left out. */
export function plainSchema(declared: TSchema): PlainSchema {
  return tidy(JSON.parse(JSON.stringify(declared)) as PlainSchema);
}

function tidy(schema: PlainSchema): PlainSchema {
  const { properties, required, items, additionalProperties, ...rest } = schema;
  const named = Object.entries(properties ?? {});
  return {
    ...rest,
    ...(named.length > 0 ? { properties: Object.fromEntries(named.map(([name, inner]) => [name, tidy(inner)])) } : {}),
    ...(items ? { items: tidy(items) } : {}),
    ...(additionalProperties ? { additionalProperties: tidy(additionalProperties) } : {}),
    ...(required && required.length > 0 ? { required: required.toSorted() } : {}),
  };
}
