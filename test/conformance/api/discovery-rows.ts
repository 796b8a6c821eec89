// What the server tells of itself.
import { group } from "./place.ts";
import type { Row } from "./rows.ts";

const aggregated = (version: string): string =>
  `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`;

export const discoveryRows: Row[] = [
  { when: "the version", ask: "GET /version", code: 200, text: /"gitVersion": ?"v1\./ },
  { when: "the core's versions", ask: "GET /api", code: 200, body: { kind: "APIVersions", versions: ["v1"] } },
  {
    when: "the groups",
    ask: "GET /apis",
    code: 200,
    body: { kind: "APIGroupList", apiVersion: "v1" },
    text: new RegExp(`"name":"${group}"`),
  },
  {
    when: "a group, its stable version first and preferred",
    ask: `GET /apis/${group}`,
    code: 200,
    body: {
      kind: "APIGroup",
      name: group,
      versions: [
        { groupVersion: `${group}/v1`, version: "v1" },
        { groupVersion: `${group}/v1alpha1`, version: "v1alpha1" },
      ],
      preferredVersion: { groupVersion: `${group}/v1`, version: "v1" },
    },
  },
  { when: "a group that is not there is 404", ask: "GET /apis/none.example.com", code: 404 },
  {
    when: "kinds of a version",
    ask: `GET /apis/${group}/v1`,
    code: 200,
    body: { kind: "APIResourceList", groupVersion: `${group}/v1` },
    text: /"name":"things"[^}]*"shortNames":\["thg"\][^}]*"categories":\["conformance"\]/,
  },
  { when: "parts of kinds", ask: `GET /apis/${group}/v1`, code: 200, text: /"name":"things\/status"/ },
  {
    when: "a scale is a kind of autoscaling",
    ask: `GET /apis/${group}/v1`,
    code: 200,
    text: /"name":"things\/scale","singularName":"","namespaced":true,"group":"autoscaling","version":"v1","kind":"Scale"/,
  },
  { when: "kinds of a version that is not served", ask: `GET /apis/${group}/v1beta1`, code: 404 },
  {
    when: "kinds of the core",
    ask: "GET /api/v1",
    code: 200,
    body: { kind: "APIResourceList", groupVersion: "v1" },
    text: /"name":"pods\/log"/,
  },
  {
    when: "all groups at once",
    ask: "GET /apis",
    headers: { accept: aggregated("v2") },
    code: 200,
    body: { kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2" },
    before: { minor: 30, code: 200, body: { kind: "APIGroupList" } },
  },
  { when: "health", ask: "GET /healthz", code: 200, text: /^ok$/ },
  { when: "health, alive", ask: "GET /livez", code: 200, text: /^ok$/ },
  { when: "health, ready", ask: "GET /readyz", code: 200, text: /^ok$/ },
  {
    when: "health with each check",
    ask: "GET /readyz?verbose",
    code: 200,
    text: /\[\+\]ping ok\n[^]*readyz check passed/,
  },
  { when: "one check of health", ask: "GET /livez/ping", code: 200, text: /^ok$/ },
  { when: "a check that is none", ask: "GET /livez/nothing", code: 404 },
  { when: "what paths there are", ask: "GET /", code: 200, text: /"\/openapi\/v3"/ },
  { when: "OpenAPI v3, the index", ask: "GET /openapi/v3", code: 200, text: /"api\/v1":/ },
  { when: "OpenAPI v3, a document that is not there", ask: "GET /openapi/v3/apis/none.example.com/v1", code: 404 },
  { when: "OpenAPI v2", ask: "GET /openapi/v2", code: 200, body: { swagger: "2.0" } },
];
