// The OpenAPI v2 document: for each kind the parameters that kubectl looks for before it asks for server-side validation or
// a dry run, and for custom kinds the schema, which kubectl explain and older kubectls' own validation read.
import { versionInfo } from "../discovery.ts";
import type { Registry } from "../registry.ts";
import type { Resource } from "../resource.ts";
import { isRecord, type StructuralSchema } from "../schema/structural.ts";

export interface V2Schema {
  type?: string;
  format?: string;
  description?: string;
  required?: readonly string[];
  properties?: Record<string, V2Schema>;
  additionalProperties?: V2Schema;
  items?: V2Schema;
  "x-kubernetes-group-version-kind"?: Gvk[];
}
export interface Gvk {
  group: string;
  version: string;
  kind: string;
}
export interface V2Parameter {
  name: string;
  in: "query";
  type: "string";
  description: string;
}
export interface V2Operation {
  operationId: string;
  consumes: string[];
  parameters: V2Parameter[];
  responses: Record<string, { description: string }>;
  "x-kubernetes-group-version-kind": Gvk;
}
export interface V2Document {
  swagger: "2.0";
  info: { title: string; version: string };
  paths: Record<string, { patch: V2Operation }>;
  definitions: Record<string, V2Schema>;
}

const parameters: V2Parameter[] = ["dryRun", "fieldManager", "fieldValidation"].map((name) => ({
  name,
  in: "query",
  type: "string",
  description: `Source: the Kubernetes API reference, ${name}.`,
}));

export function openApiDocument(registry: Registry): V2Document {
  const resources = registry.all();
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: versionInfo.gitVersion },
    paths: Object.fromEntries(resources.map((one) => [pathOf(one), { patch: patchOperation(one) }])),
    definitions: Object.fromEntries(resources.map(definitionOf).filter((one) => one !== undefined)),
  };
}

const gvkOf = ({ group, version, kind }: Resource): Gvk => ({ group, version, kind });

function pathOf({ group, apiVersion, namespaced, plural }: Resource): string {
  return `/${group ? "apis" : "api"}/${apiVersion}${namespaced ? "/namespaces/{namespace}" : ""}/${plural}/{name}`;
}

function patchOperation(resource: Resource): V2Operation {
  const { custom, kind, version, group } = resource;
  const media = ["application/json-patch+json", "application/merge-patch+json"];
  return {
    operationId: `patch${group.replaceAll(/\W+/g, "_")}_${version}_${kind}`,
    consumes: custom ? media : [...media, "application/strategic-merge-patch+json"],
    parameters,
    responses: { "200": { description: "OK" } },
    "x-kubernetes-group-version-kind": gvkOf(resource),
  };
}

/** Built-in kinds have none: every kubectl carries their schemas itself, and half a schema would mislead it. */
function definitionOf(resource: Resource): [string, V2Schema] | undefined {
  if (!resource.structural) return undefined;
  const { group, version, kind } = resource;
  const schema = toV2(resource.structural);
  schema.properties = {
    ...schema.properties,
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
  };
  schema["x-kubernetes-group-version-kind"] = [gvkOf(resource)];
  return [`${group.split(".").toReversed().join(".")}.${version}.${kind}`, schema];
}

/** v2 has no nullable, no int-or-string and no open objects with properties: there it says nothing rather than wrong things. */
function toV2(schema: StructuralSchema): V2Schema {
  const described: V2Schema = schema.description === undefined ? {} : { description: schema.description };
  if (schema["x-kubernetes-int-or-string"] === true || schema.nullable === true) return described;
  if (schema["x-kubernetes-preserve-unknown-fields"] === true) return described;
  const { type, format, required, properties, items, additionalProperties } = schema;
  return {
    ...described,
    ...(type === undefined ? {} : { type }),
    ...(format === undefined ? {} : { format }),
    ...(required === undefined ? {} : { required }),
    ...(items === undefined ? {} : { items: toV2(items) }),
    ...(isRecord(additionalProperties) ? { additionalProperties: toV2(additionalProperties) } : {}),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, toV2(inner)])) }),
  };
}
