// What the API says of itself: groups, versions, resources, and the OpenAPI documents the aggregator merges.
import { kinds } from "../api/kinds.ts";
import { version } from "../lib/version.ts";
import { json, plain, type Answer } from "./answer.ts";

const ref = kinds.uploadTokenRequest;
const [group = "", groupVersion = ""] = ref.apiVersion.split("/");
const gv = { groupVersion: ref.apiVersion, version: groupVersion };

const apiGroup = {
  kind: "APIGroup",
  apiVersion: "v1",
  name: group,
  versions: [gv],
  preferredVersion: gv,
  serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: "" }],
};

const resourceList = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: ref.apiVersion,
  resources: [
    {
      name: ref.plural,
      singularName: "uploadtokenrequest",
      namespaced: true,
      group,
      version: groupVersion,
      kind: ref.kind,
      verbs: ["create"],
      shortNames: ["utr", "utrs"],
    },
  ],
};

const definition = {
  description: "UploadTokenRequest asks for a token that lets its bearer upload into one claim.",
  type: "object",
  required: ["spec"],
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
    spec: {
      type: "object",
      required: ["pvcName"],
      properties: { pvcName: { type: "string", description: "Name of the claim to upload into." } },
    },
    status: { type: "object", properties: { token: { type: "string", description: "Good for five minutes." } } },
  },
  "x-kubernetes-group-version-kind": [{ group, version: groupVersion, kind: ref.kind }],
};
const definitionName = `io.kubevirt.cdi.upload.${groupVersion}.${ref.kind}`;
const createPath = `/apis/${ref.apiVersion}/namespaces/{namespace}/${ref.plural}`;
const info = { title: "Containerized Data Importer: upload", version };
const operation = {
  operationId: `createUploadCdiKubevirtIo${groupVersion}NamespacedUploadTokenRequest`,
  "x-kubernetes-action": "post",
  "x-kubernetes-group-version-kind": { group, version: groupVersion, kind: ref.kind },
};
const namespaceName = { name: "namespace", in: "path", required: true };

function openApiV2(): object {
  const schema = { $ref: `#/definitions/${definitionName}` };
  const post = {
    ...operation,
    consumes: ["application/json"],
    produces: ["application/json"],
    parameters: [
      { ...namespaceName, type: "string" },
      { name: "body", in: "body", required: true, schema },
    ],
    responses: { "200": { description: "OK", schema }, "401": { description: "Unauthorized" } },
  };
  return { swagger: "2.0", info, paths: { [createPath]: { post } }, definitions: { [definitionName]: definition } };
}

function openApiV3(): object {
  const content = { "application/json": { schema: { $ref: `#/components/schemas/${definitionName}` } } };
  const post = {
    ...operation,
    parameters: [{ ...namespaceName, schema: { type: "string" } }],
    requestBody: { content },
    responses: { "200": { description: "OK", content }, "401": { description: "Unauthorized" } },
  };
  return {
    openapi: "3.0.0",
    info,
    paths: { [createPath]: { post } },
    components: { schemas: { [definitionName]: definition } },
  };
}

const v3Path = `apis/${ref.apiVersion}`;

/** @returns undefined for a path that is no document */
export function documentAt(path: string): Answer | undefined {
  switch (path) {
    case "/":
      return json({ paths: ["/apis", `/apis/${group}`, `/${v3Path}`, "/healthz", "/openapi/v2", "/openapi/v3"] });
    case "/healthz":
      return plain(200, "OK");
    case "/apis":
      return json({ kind: "APIGroupList", apiVersion: "v1", groups: [apiGroup] });
    case `/apis/${group}`:
      return json(apiGroup);
    case `/${v3Path}`:
      return json(resourceList);
    case "/openapi/v2":
      return json(openApiV2());
    case "/openapi/v3":
      return json({ paths: { [v3Path]: { serverRelativeURL: `/openapi/v3/${v3Path}` } } });
    case `/openapi/v3/${v3Path}`:
      return json(openApiV3());
    default:
      return undefined;
  }
}
