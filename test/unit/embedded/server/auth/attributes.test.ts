// Requests as authorization sees them, and the words of its refusals.
import { expect, test } from "vitest";
import { attributesOf, refusalOf } from "../../../../../src/embedded/server/auth/attributes.ts";

const core = { group: "", version: "v1", subresource: "", namespace: "", name: "" };

test.each<[string, string, object]>([
  ["GET", "/", { verb: "get", path: "/" }],
  ["POST", "/api", { verb: "post", path: "/api" }],
  ["GET", "/api/v1", { verb: "get", path: "/api/v1" }],
  ["GET", "/apis/apps/v1", { verb: "get", path: "/apis/apps/v1" }],
  ["GET", "/openapi/v3/api/v1", { verb: "get", path: "/openapi/v3/api/v1" }],
  ["GET", "/api/v1/pods", { ...core, verb: "list", resource: "pods" }],
  ["HEAD", "/api/v1/nodes/x", { ...core, verb: "get", resource: "nodes", name: "x" }],
  ["GET", "/api/v1/pods?watch=1", { ...core, verb: "watch", resource: "pods" }],
  ["GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", { ...core, verb: "list", resource: "pods", name: "x" }],
  ["POST", "/api/v1/namespaces/n/pods", { ...core, verb: "create", resource: "pods", namespace: "n" }],
  [
    "PUT",
    "/api/v1/namespaces/n/pods/p/status",
    { ...core, verb: "update", resource: "pods", namespace: "n", name: "p", subresource: "status" },
  ],
  ["PATCH", "/api/v1/namespaces/n", { ...core, verb: "patch", resource: "namespaces", namespace: "n", name: "n" }],
  [
    "PUT",
    "/api/v1/namespaces/n/finalize",
    { ...core, verb: "update", resource: "namespaces", namespace: "n", name: "n", subresource: "finalize" },
  ],
  ["DELETE", "/api/v1/namespaces/n/pods", { ...core, verb: "deletecollection", resource: "pods", namespace: "n" }],
  [
    "DELETE",
    "/apis/cdi.kubevirt.io/v1beta1/namespaces/n/datavolumes/d",
    {
      ...core,
      verb: "delete",
      group: "cdi.kubevirt.io",
      version: "v1beta1",
      resource: "datavolumes",
      namespace: "n",
      name: "d",
    },
  ],
])("%s %s", (method, url, attributes) => {
  const [path = "", query = ""] = url.split("?");
  const words = path.split("/").filter((word) => word !== "");
  expect(attributesOf(method, path, words, new URLSearchParams(query))).toEqual(attributes);
});

const who = { username: "x", groups: [] };
test.each<[string, Parameters<typeof refusalOf>[1], string, object]>([
  [
    "a list in a namespace",
    { ...core, verb: "list", resource: "pods", namespace: "y" },
    'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y"',
    { kind: "pods" },
  ],
  [
    "one object of another group",
    { ...core, verb: "get", group: "apps", resource: "deployments", namespace: "y", name: "d", subresource: "scale" },
    'deployments.apps "d" is forbidden: User "x" cannot get resource "deployments/scale" in API group "apps" in the namespace "y"',
    { kind: "deployments", group: "apps", name: "d" },
  ],
  [
    "the whole cluster",
    { ...core, verb: "list", resource: "nodes" },
    'nodes is forbidden: User "x" cannot list resource "nodes" in API group "" at the cluster scope',
    { kind: "nodes" },
  ],
  ["a path", { verb: "get", path: "/metrics" }, 'forbidden: User "x" cannot get path "/metrics"', {}],
])("refusal: %s", (_what, attributes, message, details) => {
  expect(refusalOf(who, attributes)).toMatchObject({ status: 403, reason: "Forbidden", message, details });
});
