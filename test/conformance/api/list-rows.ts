// Lists: selectors, options, and what is refused.
import { configMap, group, namespace, thing } from "./place.ts";
import type { Row } from "./rows.ts";

const labelled = (suffix: string, more: object): readonly [string, object] => [
  "configmaps",
  configMap(`$n-${suffix}`, {}, { labels: { row: "$n", ...more } }),
];
const three = [labelled("a", { app: "x", n: "1" }), labelled("b", { app: "y", n: "2" }), labelled("c", { n: "3" })];
const selectors: readonly (readonly [string, readonly string[]])[] = [
  ["app=x", ["a"]],
  ["app==x", ["a"]],
  ["app!=x", ["b", "c"]],
  ["app", ["a", "b"]],
  ["!app", ["c"]],
  ["app in (x,y)", ["a", "b"]],
  ["app in (x)", ["a"]],
  ["app notin (x)", ["b", "c"]],
  ["app notin (x,y)", ["c"]],
  ["app=x,n=1", ["a"]],
  ["app=x,n=2", []],
  ["n>1", ["b", "c"]],
  ["n<2", ["a"]],
  ["app in (x,y),n>1", ["b"]],
  ["app=", []],
];
const fieldsOf = (
  place: string,
  object: (suffix: string) => object,
  rows: readonly (readonly [string, readonly string[]])[],
): Row[] =>
  rows.map(([selector, left]) => ({
    when: `${place} with ${selector}`,
    given: ["a", "b"].map((suffix) => [place, object(suffix)] as const),
    ask: `GET ${place}?labelSelector=row%3D$n&fieldSelector=${encodeURIComponent(selector).replaceAll("%24n", "$n")}`,
    code: 200,
    names: left.map((suffix) => `$n-${suffix}`),
  }));
const labels = { row: "$n" };
const pod = (suffix: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `$n-${suffix}`, labels },
  spec: {
    schedulerName: "nobody",
    restartPolicy: suffix === "a" ? "Never" : "Always",
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "c", image: "example.com/a:1" }],
  },
});
const event = (suffix: string): object => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: `$n-${suffix}`, labels },
  involvedObject: { kind: "ConfigMap", namespace, name: `of-${suffix}` },
  reason: suffix === "a" ? "First" : "Second",
  type: suffix === "a" ? "Normal" : "Warning",
});
const secret = (suffix: string): object => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: `$n-${suffix}`, labels },
  type: `example.com/${suffix}`,
});

export const listRows: Row[] = [
  ...selectors.map(([selector, left]): Row => ({
    when: `labels: ${selector}`,
    given: three,
    ask: `GET configmaps?labelSelector=${encodeURIComponent(`${selector},row=`)}$n`,
    code: 200,
    body: { kind: "ConfigMapList", apiVersion: "v1" },
    names: left.map((suffix) => `$n-${suffix}`),
  })),
  ...["a b", "a in x", "a==b=c", "(a)", "a=b,,=c", "a>x"].map((selector): Row => ({
    when: `labels: ${selector} is BadRequest`,
    ask: `GET configmaps?labelSelector=${encodeURIComponent(selector)}`,
    code: 400,
    reason: "BadRequest",
  })),
  ...fieldsOf("configmaps", (suffix) => configMap(`$n-${suffix}`, {}, { labels }), [
    ["metadata.name=$n-a", ["a"]],
    ["metadata.name!=$n-a", ["b"]],
    ["metadata.name=$n-a,metadata.namespace=nowhere", []],
  ]),
  ...fieldsOf("things", (suffix) => thing(`$n-${suffix}`, {}, { labels }), [["metadata.name=$n-b", ["b"]]]),
  ...fieldsOf("pods", pod, [
    ["spec.restartPolicy=Never", ["a"]],
    ["status.phase=Pending", ["a", "b"]],
    ["status.phase!=Pending", []],
    ["spec.nodeName=", ["a", "b"]],
    ["spec.schedulerName=nobody,spec.restartPolicy!=Never", ["b"]],
  ]),
  ...fieldsOf("secrets", secret, [["type=example.com/b", ["b"]]]),
  ...fieldsOf("events", event, [
    ["involvedObject.name=of-a", ["a"]],
    ["reason=Second", ["b"]],
    ["type!=Normal", ["b"]],
  ]),
  ...(
    [
      ["configmaps", "data.a=1"],
      ["pods", "spec.containers=x"],
      ["things", "spec.size=1"],
      ["secrets", "data=x"],
    ] as const
  ).map(([place, selector]): Row => ({
    when: `${place}: ${selector} cannot be selected by`,
    ask: `GET ${place}?fieldSelector=${encodeURIComponent(selector)}`,
    code: 400,
    reason: "BadRequest",
  })),
  {
    when: "a custom kind's own selectable field",
    given: [
      ["things", thing("$n-a", { mode: "A" }, { labels })],
      ["things", thing("$n-b", { mode: "B" }, { labels })],
    ],
    ask: "GET things?labelSelector=row%3D$n&fieldSelector=spec.mode%3DB",
    code: 200,
    names: ["$n-b"],
    before: { minor: 31, code: 400, reason: "BadRequest" },
  },
  {
    when: "a list of nothing has no items but an empty list",
    ask: "GET configmaps?labelSelector=row%3D$n",
    code: 200,
    body: { kind: "ConfigMapList", items: [] },
    text: /"resourceVersion":"\d+"/,
  },
  {
    when: "metadata alone of a list",
    given: [["configmaps", configMap("$n", { a: "1" }, { labels })]],
    ask: "GET configmaps?labelSelector=row%3D$n",
    headers: { accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" },
    code: 200,
    body: { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", items: [{ metadata: { name: "$n" } }] },
    without: ["items.0.data"],
  },
  {
    when: "a list over all namespaces names each object's",
    given: [["configmaps", configMap("$n", {}, { labels })]],
    ask: "GET /api/v1/configmaps?labelSelector=row%3D$n",
    code: 200,
    names: ["$n"],
    text: /"namespace":"api-conformance-/,
  },
  {
    when: "a page with a selector does not tell how many are left",
    given: three,
    ask: "GET configmaps?labelSelector=row%3D$n&limit=2",
    code: 200,
    names: ["$n-a", "$n-b"],
    text: /"continue":"[^"]+"/,
    without: ["metadata.remainingItemCount"],
  },
  ...(
    [
      ["resourceVersionMatch=Exact", "resourceVersionMatch"],
      ["resourceVersionMatch=Some&resourceVersion=1", "resourceVersionMatch"],
      ["resourceVersionMatch=Exact&resourceVersion=0", "resourceVersionMatch"],
      ["watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1", "resourceVersionMatch"],
    ] as const
  ).map(([query, field]): Row => ({
    when: `options: ${query} is Invalid`,
    ask: `GET configmaps?${query}`,
    code: 422,
    reason: "Invalid",
    fields: [field],
  })),
  {
    when: "options: a token of nobody's is BadRequest",
    ask: "GET configmaps?limit=1&continue=none",
    code: 400,
    reason: "BadRequest",
  },
  {
    when: "options: a limit that is no number is BadRequest",
    ask: "GET configmaps?limit=many",
    code: 400,
    reason: "BadRequest",
  },
  {
    when: "options: a version from the future times out",
    ask: "GET configmaps?resourceVersion=900000000000&resourceVersionMatch=NotOlderThan",
    code: 504,
    reason: "Timeout",
    message: /Too large resource version/,
  },
  {
    when: "a kind is listed with the type it has",
    ask: `GET /apis/${group}/v1alpha1/namespaces/{ns}/things?limit=1`,
    code: 200,
    body: { kind: "ThingList", apiVersion: `${group}/v1alpha1` },
  },
];
