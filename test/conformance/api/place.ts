// Where the suite works: a group of its own with two kinds, and namespaces of its own; nothing else is touched.
import { expect, vi } from "vitest";
import type { Api, Ask } from "./cluster.ts";

export const group = "api.conformance.cdi.kubevirt.io";
export const namespace = `api-conformance-${process.pid}`;

const thingSpec = {
  type: "object",
  properties: {
    size: { type: "integer", minimum: 1, maximum: 100 },
    mode: { type: "string", enum: ["A", "B"], default: "A" },
    code: { type: "string", pattern: "^[a-z]+$", minLength: 2, maxLength: 5 },
    port: { "x-kubernetes-int-or-string": true },
    free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    maybe: { type: "string", nullable: true },
    texts: { type: "object", additionalProperties: { type: "string" } },
    at: { type: "string", format: "date-time" },
    few: { type: "array", items: { type: "string" }, minItems: 1, maxItems: 2 },
    flag: { type: "boolean" },
    ratio: { type: "number" },
    replicas: { type: "integer" },
    once: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "once is immutable" }] },
    low: { type: "integer" },
    high: { type: "integer" },
    named: { type: "object", required: ["name"], properties: { name: { type: "string" }, more: { type: "string" } } },
    inner: { type: "object", properties: { depth: { type: "integer", default: 7 } } },
    keyed: {
      type: "array",
      maxItems: 20,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: {
        type: "object",
        required: ["name"],
        properties: { name: { type: "string" }, value: { type: "string" } },
      },
    },
    unique: { type: "array", maxItems: 20, "x-kubernetes-list-type": "set", items: { type: "string" } },
    plain: { type: "array", items: { type: "string" } },
  },
  "x-kubernetes-validations": [
    { rule: "!has(self.low) || !has(self.high) || self.low <= self.high", message: "low must not be above high" },
  ],
};
const schema = {
  openAPIV3Schema: {
    type: "object",
    properties: {
      spec: thingSpec,
      status: {
        type: "object",
        properties: { phase: { type: "string" }, replicas: { type: "integer" }, selector: { type: "string" } },
      },
    },
  },
};
const version = (name: string, storage: boolean, served = true): object => ({
  name,
  served,
  storage,
  schema,
  subresources: {
    status: {},
    scale: {
      specReplicasPath: ".spec.replicas",
      statusReplicasPath: ".status.replicas",
      labelSelectorPath: ".status.selector",
    },
  },
  selectableFields: [{ jsonPath: ".spec.mode" }],
  additionalPrinterColumns: [
    { name: "Size", type: "integer", jsonPath: ".spec.size", description: "How big it is" },
    { name: "Mode", type: "string", jsonPath: ".spec.mode", priority: 1 },
    { name: "Since", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
});
export const definition = (plural: string, kind: string, scope: string, more: object = {}): object => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope,
    names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List`, ...more },
    versions: [version("v1", true), version("v1alpha1", false), version("v1beta1", false, false)],
  },
});
const definitions = [
  definition("things", "Thing", "Namespaced", { shortNames: ["thg"], categories: ["conformance"] }),
  definition("wides", "Wide", "Cluster"),
];
const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

const patience = { timeout: 120_000, interval: 100 };

const places: Readonly<Record<string, string>> = {
  things: `/apis/${group}/v1/namespaces/${namespace}/things`,
  wides: `/apis/${group}/v1/wides`,
  namespaces: "/api/v1/namespaces",
  crds,
  roles: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles`,
  rolebindings: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
  clusterroles: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  leases: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`,
};
/** "things/x?limit=1" in full; what begins with a slash stays. */
export function pathOf(short: string): string {
  if (short.startsWith("/")) return short.replaceAll("{ns}", namespace);
  const [, plural = "", rest = ""] = /^([a-z]+)(.*)$/.exec(short) ?? [];
  return `${places[plural] ?? `/api/v1/namespaces/${namespace}/${plural}`}${rest}`;
}
/** "POST things/x" */
export function askOf(words: string, body?: unknown, headers?: Readonly<Record<string, string>>): Ask {
  const [method = "", short = ""] = words.split(" ");
  const path = pathOf(short);
  return { method, path, ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) };
}

export const thing = (name: string, spec: object = {}, metadata: object = {}): Record<string, unknown> => ({
  apiVersion: `${group}/v1`,
  kind: "Thing",
  metadata: { name, ...metadata },
  spec,
});
export const configMap = (name: string, data: object = {}, metadata: object = {}): Record<string, unknown> => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...metadata },
  data,
});

/** Everything the rows need is there when this resolves. */
export async function prepare(api: Api): Promise<void> {
  const ask = async (words: string, body?: unknown): Promise<void> => {
    const reply = await api.send(askOf(words, body));
    if (reply.code >= 300) throw new Error(`${words}: ${reply.code} ${reply.text}`);
  };
  await ask("POST namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  for (const one of definitions) await ask("POST crds", one);
  // Served, and pods may be created: they need the namespace's account.
  const wanted = ["GET things", "GET wides", "GET serviceaccounts/default"];
  await vi.waitFor(async () => {
    for (const words of wanted) expect((await api.send(askOf(words))).code, words).toBe(200);
  }, patience);
}

export async function cleanUp(api: Api): Promise<void> {
  for (const plural of ["things", "wides"]) await api.send(askOf(`DELETE crds/${plural}.${group}`));
  await api.send(askOf(`DELETE namespaces/${namespace}`));
  await vi.waitFor(async () => {
    expect((await api.send(askOf(`GET namespaces/${namespace}`))).code).toBe(404);
  }, patience);
}
