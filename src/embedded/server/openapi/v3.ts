// OpenAPI v3: an index of groups, and a document for each with the paths and schemas kubectl reads for explain, diff, edit and
// its patches.
import { createHash } from "node:crypto";
import { metaSchema, typeName } from "../builtins/type-schemas.ts";
import { versionInfo } from "../discovery.ts";
import { noSuchPath } from "../errors.ts";
import { applyMedia } from "../body.ts";
import type { Registry } from "../registry.ts";
import type { Resource } from "../resource.ts";
import { isRecord, type StructuralSchema } from "../schema/structural.ts";
import { verbs } from "../verbs.ts";

type Schemas = Record<string, object>;

/** Documents by registry and path, as long as nothing changes what is served. */
const written = new WeakMap<Registry, { generation: number; texts: Map<string, string> }>();

/** "api/v1", "apis/GROUP/VERSION" */
const pathOf = ({ group, apiVersion }: Resource): string => `${group ? "apis" : "api"}/${apiVersion}`;

export function openApiIndex(registry: Registry): object {
  const paths = [...new Set(registry.all().map(pathOf))].map((path) => {
    const hash = createHash("sha256").update(openApiV3(registry, path)).digest("hex").toUpperCase();
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(paths) as object };
}

/** @returns JSON. @throws ApiError 404 */
export function openApiV3(registry: Registry, path: string): string {
  let known = written.get(registry);
  if (known?.generation !== registry.generation) {
    known = { generation: registry.generation, texts: new Map() };
    written.set(registry, known);
  }
  const text = known.texts.get(path) ?? JSON.stringify(documentOf(registry, path));
  known.texts.set(path, text);
  return text;
}

function documentOf(registry: Registry, path: string): object {
  const resources = registry.all().filter((one) => pathOf(one) === path);
  if (resources.length === 0) throw noSuchPath();
  const schemas: Schemas = {};
  for (const resource of resources) {
    const [name, schema] = rootSchema(resource, schemas);
    schemas[name] = { ...schema, "x-kubernetes-group-version-kind": [gvkOf(resource)] };
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: versionInfo.gitVersion },
    paths: Object.fromEntries(resources.flatMap(pathsOf)),
    components: { schemas },
  };
}

const gvkOf = ({ group, version, kind }: Resource): object => ({ group, version, kind });
const nameOf = ({ group, version, kind }: Resource): string =>
  `${group === "" ? "core" : group.split(".").toReversed().join(".")}.${version}.${kind}`;

function rootSchema(resource: Resource, schemas: Schemas): [string, object] {
  return [nameOf(resource), published(resource.typed, schemas, true)];
}

/** Built-in types stand once, under their name; all else stands where it is used. */
function published(schema: StructuralSchema, schemas: Schemas, isRoot = false): object {
  const name = isRoot ? undefined : typeName(schema);
  if (name !== undefined) {
    const key = `io.k8s.${name}`;
    if (schemas[key] === undefined) {
      schemas[key] = {};
      schemas[key] = published(schema, schemas, true);
    }
    return { $ref: `#/components/schemas/${key}` };
  }
  const { properties, items, additionalProperties, ...rest } = schema;
  return {
    ...rest,
    ...(items === undefined ? {} : { items: published(items, schemas) }),
    ...(isRecord(additionalProperties)
      ? { additionalProperties: published(additionalProperties as StructuralSchema, schemas) }
      : additionalProperties === undefined
        ? {}
        : { additionalProperties }),
    ...(properties === undefined ? {} : { properties: propertiesOf(properties, schemas) }),
  };
}

const propertiesOf = (properties: Readonly<Record<string, StructuralSchema>>, schemas: Schemas): object =>
  Object.fromEntries(
    Object.entries(properties).map(([name, inner]) => {
      const shown = published(inner, schemas);
      return [name, inner === metaSchema ? { allOf: [shown], description: "Standard object's metadata." } : shown];
    }),
  );

const parameters = ["dryRun", "fieldManager", "fieldValidation", "force", "pretty"].map((name) => ({
  name,
  in: "query",
  schema: { type: name === "force" ? "boolean" : "string", uniqueItems: true },
}));

function pathsOf(resource: Resource): [string, object][] {
  const { namespaced, plural, custom } = resource;
  const all = `/${pathOf(resource)}/${plural}`;
  const collection = namespaced ? `/${pathOf(resource)}/namespaces/{namespace}/${plural}` : all;
  const gvk = { "x-kubernetes-group-version-kind": gvkOf(resource) };
  const $ref = `#/components/schemas/${nameOf(resource)}`;
  const responses = { "200": { description: "OK", content: { "application/json": { schema: { $ref } } } } };
  const operation = (action: string): object => ({ "x-kubernetes-action": action, ...gvk, parameters, responses });
  const post = { post: { ...operation("post"), requestBody: bodyOf(["application/json"], $ref) } };
  if (!(resource.verbs ?? verbs).includes("get")) return [[collection, post]];
  const media = [
    applyMedia,
    "application/json-patch+json",
    "application/merge-patch+json",
    ...(custom ? [] : ["application/strategic-merge-patch+json"]),
  ];
  const one = {
    get: operation("get"),
    put: { ...operation("put"), requestBody: bodyOf(["application/json"], $ref) },
    patch: { ...operation("patch"), requestBody: bodyOf(media) },
    delete: operation("delete"),
  };
  return [
    [collection, { get: operation("list"), ...post }],
    [`${collection}/{name}`, one],
    ...(namespaced ? [[all, { get: operation("list") }] satisfies [string, object]] : []),
  ];
}

const bodyOf = (media: readonly string[], $ref?: string): object => ({
  content: Object.fromEntries(
    media.map((one) => [one, { schema: $ref === undefined ? { type: "object" } : { $ref } }]),
  ),
});
