// Custom resources: defaults, pruning, validation, parts, versions, and definitions themselves.
import { configMap, definition, group, thing } from "./place.ts";
import type { Row } from "./rows.ts";

const merge = { "content-type": "application/merge-patch+json" };
const invalid = (what: string, spec: object, fields: readonly string[], more: Partial<Row> = {}): Row => ({
  when: `${what} is Invalid`,
  ask: "POST things",
  send: thing("$n", spec),
  code: 422,
  reason: "Invalid",
  fields,
  ...more,
});
const valid = (what: string, spec: object, shown: object = spec): Row => ({
  when: `${what} passes`,
  ask: "POST things",
  send: thing("$n", spec),
  code: 201,
  body: { spec: shown },
});
const aThing = ["things", thing("$n", { size: 1, replicas: 2 })] as const;
const status = { phase: "Done", replicas: 1, selector: "a=b" };
const withStatus = (more: object = {}): object => ({
  ...thing("$n", { size: 9 }, { resourceVersion: "$rv" }),
  status,
  ...more,
});

export const schemaRows: Row[] = [
  valid("a default", {}, { mode: "A" }),
  valid("a default inside of what is there", { inner: {} }, { inner: { depth: 7 } }),
  {
    when: "no default inside of what is not there",
    ask: "POST things",
    send: thing("$n"),
    code: 201,
    without: ["spec.inner"],
  },
  {
    when: "fields nobody knows are dropped",
    ask: "POST things",
    send: thing("$n", { typo: 1 }),
    code: 201,
    without: ["spec.typo"],
    warning: /unknown field \\"spec\.typo\\"/,
  },
  {
    when: "fields nobody knows are BadRequest under strict validation",
    ask: "POST things?fieldValidation=Strict",
    send: thing("$n", { typo: 1 }),
    code: 400,
    reason: "BadRequest",
    message: /strict decoding error: unknown field "spec\.typo"/,
  },
  valid("anything where the schema keeps unknown fields", { free: { a: [1], b: { c: "d" } } }),
  valid("a number where a number or a text may be", { port: 80 }),
  valid("a text where a number or a text may be", { port: "http" }),
  invalid("a flag where a number or a text may be", { port: true }, ["spec.port"]),
  valid("null where null may be", { maybe: null }),
  {
    when: "null where it may not be is dropped",
    ask: "POST things",
    send: thing("$n", { size: null }),
    code: 201,
    without: ["spec.size"],
  },
  valid("a map of texts", { texts: { a: "b" } }),
  invalid("a map with another value", { texts: { a: 1 } }, ["spec.texts.a"]),
  invalid("a number below the minimum", { size: 0 }, ["spec.size"], {
    message: `Thing.${group} "$n" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1`,
    body: {
      details: { name: "$n", group, kind: "Thing", causes: [{ reason: "FieldValueInvalid", field: "spec.size" }] },
    },
  }),
  invalid("a number above the maximum", { size: 101 }, ["spec.size"], {
    message: /spec\.size in body should be less than or equal to 100/,
  }),
  invalid("a text for a number", { size: "big" }, ["spec.size"], {
    message: `Thing.${group} "$n" is invalid: spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"`,
    body: { details: { causes: [{ reason: "FieldValueTypeInvalid", field: "spec.size" }] } },
  }),
  invalid("a fraction for a whole number", { size: 1.5 }, ["spec.size"]),
  invalid("a number for a flag", { flag: 1 }, ["spec.flag"]),
  invalid("a list for an object", { inner: [] }, ["spec.inner"]),
  valid("a fraction where numbers are", { ratio: 0.5 }),
  invalid("a word that is not in the list", { mode: "C" }, ["spec.mode"], {
    message: `Thing.${group} "$n" is invalid: spec.mode: Unsupported value: "C": supported values: "A", "B"`,
    body: { details: { causes: [{ reason: "FieldValueNotSupported", field: "spec.mode" }] } },
  }),
  invalid("a text of another pattern", { code: "ABC" }, ["spec.code"], {
    message: /spec\.code in body should match '\^\[a-z\]\+\$'/,
  }),
  invalid("a text that is too short", { code: "a" }, ["spec.code"], {
    message: /spec\.code in body should be at least 2 chars long/,
  }),
  invalid("a text that is too long", { code: "abcdef" }, ["spec.code"]),
  invalid("a list of too few", { few: [] }, ["spec.few"], {
    message: /spec\.few in body should have at least 1 items/,
  }),
  invalid("a list of too many", { few: ["a", "b", "c"] }, ["spec.few"]),
  invalid("a time that is none", { at: "yesterday" }, ["spec.at"]),
  valid("a time", { at: "2024-01-02T03:04:05Z" }),
  invalid("an object without what it needs", { named: {} }, ["spec.named.name"], {
    message: `Thing.${group} "$n" is invalid: spec.named.name: Required value`,
    body: {
      details: { causes: [{ reason: "FieldValueRequired", message: "Required value", field: "spec.named.name" }] },
    },
  }),
  invalid("two of one key in a list of maps", { keyed: [{ name: "a" }, { name: "a" }] }, ["spec.keyed[1]"], {
    body: { details: { causes: [{ reason: "FieldValueDuplicate" }] } },
  }),
  invalid("one twice in a set", { unique: ["a", "a"] }, ["spec.unique[1]"], {
    body: { details: { causes: [{ reason: "FieldValueDuplicate" }] } },
  }),
  invalid("a rule that does not hold", { low: 3, high: 2 }, ["spec"], { message: /low must not be above high/ }),
  valid("a rule that holds", { low: 2, high: 3 }),
  invalid("two complaints at once", { size: 0, mode: "C" }, ["spec.mode", "spec.size"]),
  {
    when: "a rule on the change of a value",
    given: [["things", thing("$n", { once: "a" })]],
    ask: "PATCH things/$n",
    headers: merge,
    send: { spec: { once: "b" } },
    code: 422,
    reason: "Invalid",
    message: /once is immutable/,
    fields: ["spec.once"],
  },
  {
    when: "a rule on the change of a value says nothing of its first",
    given: [["things", thing("$n")]],
    ask: "PATCH things/$n",
    headers: merge,
    send: { spec: { once: "b" } },
    code: 200,
  },
];

export const partRows: Row[] = [
  {
    when: "a create drops the status",
    ask: "POST things",
    send: { ...thing("$n"), status },
    code: 201,
    without: ["status"],
    body: { metadata: { generation: 1 } },
  },
  {
    when: "an update drops the status",
    given: [aThing],
    ask: "PUT things/$n",
    send: withStatus(),
    code: 200,
    body: { spec: { size: 9 } },
    without: ["status"],
  },
  {
    when: "an update of the status takes the status alone",
    given: [aThing],
    ask: "PUT things/$n/status",
    send: withStatus(),
    code: 200,
    body: { spec: { size: 1 }, status, metadata: { generation: 1 } },
  },
  {
    when: "a patch of the status takes the status alone",
    given: [aThing],
    ask: "PATCH things/$n/status",
    headers: merge,
    send: { spec: { size: 9 }, status },
    code: 200,
    body: { spec: { size: 1 }, status },
  },
  {
    when: "labels do not change through the status",
    given: [aThing],
    ask: "PATCH things/$n/status",
    headers: merge,
    send: { metadata: { labels: { a: "b" } }, status },
    code: 200,
    without: ["metadata.labels"],
  },
  {
    when: "a status is checked by the schema",
    given: [aThing],
    ask: "PATCH things/$n/status",
    headers: merge,
    send: { status: { phase: 1 } },
    code: 422,
    reason: "Invalid",
    fields: ["status.phase"],
  },
  {
    when: "a status can be read alone",
    given: [aThing],
    ask: "GET things/$n/status",
    code: 200,
    body: { kind: "Thing", metadata: { name: "$n" } },
  },
  { when: "a status is not created", given: [aThing], ask: "POST things/$n/status", send: withStatus(), code: 405 },
  { when: "a status is not deleted", given: [aThing], ask: "DELETE things/$n/status", code: 405 },
  {
    when: "a status of what is not there is NotFound",
    ask: "PATCH things/$n/status",
    headers: merge,
    send: { status },
    code: 404,
    reason: "NotFound",
  },
  {
    when: "the scale shows replicas",
    given: [aThing],
    ask: "GET things/$n/scale",
    code: 200,
    body: {
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      metadata: { name: "$n", uid: "$uid" },
      spec: { replicas: 2 },
      status: { replicas: 0 },
    },
  },
  {
    when: "a patch of the scale moves replicas",
    given: [aThing],
    ask: "PATCH things/$n/scale",
    headers: merge,
    send: { spec: { replicas: 5 } },
    code: 200,
    body: { kind: "Scale", spec: { replicas: 5 } },
    after: [{ ask: "GET things/$n", code: 200, body: { spec: { replicas: 5, size: 1 }, metadata: { generation: 2 } } }],
  },
  {
    when: "an update of the scale moves replicas",
    given: [aThing],
    ask: "PUT things/$n/scale",
    send: {
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      metadata: { name: "$n", resourceVersion: "$rv" },
      spec: { replicas: 7 },
    },
    code: 200,
    body: { spec: { replicas: 7 } },
    after: [{ ask: "GET things/$n", code: 200, body: { spec: { replicas: 7 } } }],
  },
  {
    when: "a stale update of the scale is a Conflict",
    given: [aThing],
    ask: "PUT things/$n/scale",
    send: {
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      metadata: { name: "$n", resourceVersion: "1" },
      spec: { replicas: 7 },
    },
    code: 409,
    reason: "Conflict",
  },
  {
    when: "a scale below nothing is Invalid",
    given: [aThing],
    ask: "PATCH things/$n/scale",
    headers: merge,
    send: { spec: { replicas: -1 } },
    code: 422,
    reason: "Invalid",
    fields: ["spec.replicas"],
  },
  {
    when: "built-in kinds without it have no scale",
    given: [["configmaps", configMap("$n")]],
    ask: "GET configmaps/$n/scale",
    code: 404,
  },
  {
    when: "an object is read in another version",
    given: [aThing],
    ask: `GET /apis/${group}/v1alpha1/namespaces/{ns}/things/$n`,
    code: 200,
    body: { apiVersion: `${group}/v1alpha1`, spec: { size: 1 }, metadata: { uid: "$uid" } },
  },
  {
    when: "an object is written in another version",
    ask: `POST /apis/${group}/v1alpha1/namespaces/{ns}/things`,
    send: { ...thing("$n", { size: 2 }), apiVersion: `${group}/v1alpha1` },
    code: 201,
    body: { apiVersion: `${group}/v1alpha1` },
    after: [{ ask: "GET things/$n", code: 200, body: { apiVersion: `${group}/v1`, spec: { size: 2 } } }],
  },
  {
    when: "an object of another version than its path is BadRequest",
    ask: "POST things",
    send: { ...thing("$n"), apiVersion: `${group}/v1alpha1` },
    code: 400,
    reason: "BadRequest",
  },
  {
    when: "objects of the cluster need no namespace",
    ask: "POST wides",
    send: { apiVersion: `${group}/v1`, kind: "Wide", metadata: { name: "$n" } },
    code: 201,
    without: ["metadata.namespace"],
  },
];

const crd = (change: (one: Record<string, Record<string, unknown>>) => void): object => {
  const one = structuredClone(definition("spares", "Spare", "Namespaced")) as Record<string, Record<string, unknown>>;
  change(one);
  return one;
};
const refused = (what: string, change: Parameters<typeof crd>[0], more: Partial<Row> = {}): Row => ({
  when: `a definition ${what} is Invalid`,
  ask: "POST crds?dryRun=All",
  send: crd(change),
  code: 422,
  reason: "Invalid",
  ...more,
});
type Version = Record<string, unknown> & { schema?: { openAPIV3Schema: Record<string, unknown> } };
const versionsOf = (one: Record<string, Record<string, unknown>>): Version[] => one["spec"]?.["versions"] as Version[];

export const definitionRows: Row[] = [
  {
    when: "a definition is answered with what the server fills in",
    ask: "POST crds?dryRun=All",
    send: crd(() => undefined),
    code: 201,
    body: { spec: { conversion: { strategy: "None" }, names: { singular: "spare", listKind: "SpareList" } } },
  },
  refused("named otherwise", (one) => Object.assign(one["metadata"] ?? {}, { name: `others.${group}` }), {
    fields: ["metadata.name"],
  }),
  refused("of two stored versions", (one) => versionsOf(one).forEach((version) => (version["storage"] = true))),
  refused("of no stored version", (one) => versionsOf(one).forEach((version) => (version["storage"] = false))),
  refused("without a schema", (one) => versionsOf(one).forEach((version) => delete version.schema)),
  refused("of another scope", (one) => Object.assign(one["spec"] ?? {}, { scope: "Galaxy" }), {
    fields: ["spec.scope"],
  }),
  refused("with a field of no type", (one) =>
    Object.assign(versionsOf(one)[0]?.schema?.openAPIV3Schema ?? {}, { properties: { spec: { properties: {} } } }),
  ),
  {
    when: "a definition that is not there is NotFound",
    ask: "GET crds/none.example.com",
    code: 404,
    reason: "NotFound",
    message: 'customresourcedefinitions.apiextensions.k8s.io "none.example.com" not found',
  },
  {
    when: "a served definition says so",
    ask: `GET crds/things.${group}`,
    code: 200,
    text: /"type":"Established","status":"True"|"status":"True"[^}]*"type":"Established"/,
    body: { status: { acceptedNames: { plural: "things", kind: "Thing" }, storedVersions: ["v1"] } },
  },
];
