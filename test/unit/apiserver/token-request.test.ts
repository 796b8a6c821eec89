// The token API's answers: who is let in, what is asked of the cluster, what stands in the answer.
import { expect, test } from "vitest";
import { documentAt } from "../../../src/apiserver/discovery.ts";
import { frontProxyFrom, userIn, type User } from "../../../src/apiserver/front-proxy.ts";
import type { Asked } from "../../../src/apiserver/review.ts";
import { handleTokenRequest } from "../../../src/apiserver/uploadtoken/handle.ts";

const user: User = { name: "ann", groups: ["a", "b"], extra: { scopes: ["x"] } };
const body = JSON.stringify({
  apiVersion: "upload.cdi.kubevirt.io/v1beta1",
  kind: "UploadTokenRequest",
  metadata: { generateName: "token-for-virtctl-", labels: { a: "b" } },
  spec: { pvcName: "disk" },
});

const allowed = async () => Promise.resolve({ allowed: true, reason: "" });
const sign = async (namespace: string, claim: string) => Promise.resolve(`token for ${namespace}/${claim}`);

test.each([
  { when: "nobody", ask: { user: undefined }, may: allowed, code: 401, text: "request is not authenticated" },
  {
    when: "somebody who may not",
    ask: { user },
    may: async () => Promise.resolve({ allowed: false, reason: "no rule lets ann" }),
    code: 401,
    text: "no rule lets ann",
  },
  {
    when: "somebody, while nobody can be asked",
    ask: { user },
    may: async () => Promise.reject(new Error("the review failed")),
    code: 500,
    text: "the review failed",
  },
  { when: "somebody with no JSON", ask: { user, body: "{" }, may: allowed, code: 400, text: undefined },
  { when: "somebody who names no claim", ask: { user, body: '{"spec":{}}' }, may: allowed, code: 400, text: undefined },
])("$when: $code", async ({ ask, may, code, text }) => {
  const answer = await handleTokenRequest({ namespace: "ns", body, ...ask }, { may, sign });
  expect(answer.code).toBe(code);
  if (text !== undefined) expect(answer.body).toBe(text);
});

test("who may gets the object back, with a token for the claim of the path's namespace", async () => {
  const asked: [User, Asked][] = [];
  const may = async (...one: [User, Asked]) => {
    asked.push(one);
    return allowed();
  };
  const answer = await handleTokenRequest({ namespace: "ns", user, body }, { may, sign });
  expect(answer.code).toBe(200);
  expect(JSON.parse(answer.body)).toEqual({
    apiVersion: "upload.cdi.kubevirt.io/v1beta1",
    kind: "UploadTokenRequest",
    metadata: { generateName: "token-for-virtctl-", labels: { a: "b" }, namespace: "ns" },
    spec: { pvcName: "disk" },
    status: { token: "token for ns/disk" },
  });
  const resource = { group: "upload.cdi.kubevirt.io", version: "v1beta1", resource: "uploadtokenrequests" };
  expect(asked).toEqual([[user, { verb: "create", namespace: "ns", ...resource }]]);
});

const map = (data: Record<string, string>) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: {}, data });

test("the user is read from the headers the cluster names", () => {
  const proxy = frontProxyFrom(
    map({
      "requestheader-client-ca-file": "PEM",
      "requestheader-allowed-names": '["front-proxy-client"]',
      "requestheader-username-headers": '["X-Remote-User"]',
      "requestheader-group-headers": '["X-Remote-Group"]',
      "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }),
  );
  expect(proxy).toMatchObject({ clientCa: "PEM", allowedNames: ["front-proxy-client"] });
  const headers = {
    "x-remote-user": ["ann"],
    "x-remote-group": ["a", "b"],
    "x-remote-extra-acme.org%2fscopes": ["x", "y"],
  };
  expect(userIn(headers, proxy)).toEqual({ name: "ann", groups: ["a", "b"], extra: { "acme.org/scopes": ["x", "y"] } });
  expect(userIn({ "x-remote-group": ["a"] }, proxy)).toBeUndefined();
});

test("without the config map nobody can prove anything", () =>
  expect(frontProxyFrom(undefined)).toMatchObject({ clientCa: "", allowedNames: [] }));

test.each([
  { path: "/apis/upload.cdi.kubevirt.io/v1beta1", kind: "APIResourceList" },
  { path: "/apis/upload.cdi.kubevirt.io", kind: "APIGroup" },
  { path: "/apis", kind: "APIGroupList" },
])("$path is a $kind", ({ path, kind }) => expect(JSON.parse(documentAt(path)?.body ?? "{}")).toMatchObject({ kind }));
test("the resource is one that can only be created", () =>
  expect(JSON.parse(documentAt("/apis/upload.cdi.kubevirt.io/v1beta1")?.body ?? "{}")).toMatchObject({
    resources: [{ name: "uploadtokenrequests", namespaced: true, verbs: ["create"], shortNames: ["utr", "utrs"] }],
  }));
test("health is OK", () => expect(documentAt("/healthz")).toMatchObject({ code: 200, body: "OK" }));
test("anything else is nothing", () => expect(documentAt("/metrics")).toBeUndefined());
