// Server-side apply.
import { configMap, group, thing } from "./place.ts";
import type { Row } from "./rows.ts";

const apply = { "content-type": "application/apply-patch+yaml" };
const cm = ["configmaps", configMap("$n", { a: "1", b: "2" })] as const;
const aThing = ["things", thing("$n", { size: 1 })] as const;
const applied = (data: object): object => configMap("$n", data);
const conflict = {
  code: 409,
  reason: "Conflict",
  message: /^Apply failed with 1 conflict: conflict with "other"/,
  fields: [".data.a"],
} as const;

export const applyRows: Row[] = [
  {
    when: "apply by nobody is Invalid",
    ask: "PATCH configmaps/$n",
    headers: apply,
    send: applied({}),
    code: 422,
    reason: "Invalid",
    fields: ["fieldManager"],
    body: { details: { kind: "PatchOptions" } },
  },
  {
    when: "apply creates what is not there",
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: applied({ a: "1" }),
    code: 201,
    body: {
      metadata: { managedFields: [{ manager: "me", operation: "Apply", fieldsV1: { "f:data": { "f:a": {} } } }] },
    },
  },
  {
    when: "apply of what is there answers 200",
    given: [cm],
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: applied({ c: "3" }),
    code: 200,
    body: { data: { a: "1", b: "2", c: "3" } },
  },
  {
    when: "apply over another manager's field is a Conflict",
    given: [["configmaps?fieldManager=other", configMap("$n", { a: "1" })]],
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: applied({ a: "2" }),
    ...conflict,
    body: { details: { causes: [{ reason: "FieldManagerConflict", field: ".data.a" }] } },
  },
  {
    when: "apply of the same value shares the field",
    given: [["configmaps?fieldManager=other", configMap("$n", { a: "1" })]],
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: applied({ a: "1" }),
    code: 200,
  },
  {
    when: "apply by force takes the field over",
    given: [["configmaps?fieldManager=other", configMap("$n", { a: "1" })]],
    ask: "PATCH configmaps/$n?fieldManager=me&force=true",
    headers: apply,
    send: applied({ a: "2" }),
    code: 200,
    body: { data: { a: "2" } },
  },
  {
    when: "apply in a dry run creates nothing",
    ask: "PATCH configmaps/$n?fieldManager=me&dryRun=All",
    headers: apply,
    send: applied({ a: "1" }),
    code: 201,
    after: [{ ask: "GET configmaps/$n", code: 404 }],
  },
  {
    when: "apply with managedFields is BadRequest",
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: configMap(
      "$n",
      {},
      { managedFields: [{ manager: "x", operation: "Apply", apiVersion: "v1", fieldsType: "FieldsV1", fieldsV1: {} }] },
    ),
    code: 400,
    reason: "BadRequest",
    message: "metadata.managedFields must be nil",
  },
  {
    when: "apply under another name is BadRequest",
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: configMap("other"),
    code: 400,
    reason: "BadRequest",
  },
  {
    when: "apply of a custom object merges a list of maps by key",
    given: [["things?fieldManager=other", thing("$n", { keyed: [{ name: "a", value: "1" }] })]],
    ask: "PATCH things/$n?fieldManager=me",
    headers: apply,
    send: thing("$n", { keyed: [{ name: "b", value: "2" }] }),
    code: 200,
    body: {
      spec: {
        keyed: [
          { name: "a", value: "1" },
          { name: "b", value: "2" },
        ],
      },
    },
  },
  {
    when: "apply of a custom object joins a set",
    given: [["things?fieldManager=other", thing("$n", { unique: ["a"] })]],
    ask: "PATCH things/$n?fieldManager=me",
    headers: apply,
    send: thing("$n", { unique: ["b"] }),
    code: 200,
    body: { spec: { unique: ["a", "b"] } },
  },
  {
    when: "apply of a custom object replaces a plain list, by force",
    given: [["things?fieldManager=other", thing("$n", { plain: ["a"] })]],
    ask: "PATCH things/$n?fieldManager=me&force=true",
    headers: apply,
    send: thing("$n", { plain: ["b"] }),
    code: 200,
    body: { spec: { plain: ["b"] } },
  },
  {
    when: "apply is checked by the schema",
    ask: "PATCH things/$n?fieldManager=me",
    headers: apply,
    send: thing("$n", { mode: "C" }),
    code: 422,
    reason: "Invalid",
    fields: ["spec.mode"],
  },
  {
    when: "apply with a uid of what is not there is a Conflict",
    ask: "PATCH configmaps/$n?fieldManager=me",
    headers: apply,
    send: configMap("$n", {}, { uid: "other" }),
    code: 409,
    reason: "Conflict",
  },
  {
    when: "apply of a custom object's status owns it through that part",
    given: [aThing],
    ask: "PATCH things/$n/status?fieldManager=me",
    headers: apply,
    send: { apiVersion: `${group}/v1`, kind: "Thing", metadata: { name: "$n" }, status: { phase: "Done" } },
    code: 200,
    body: { status: { phase: "Done" }, spec: { size: 1 } },
  },
];
