// Deleting: preconditions, propagation, finalizers, many at once.
import { configMap, group, thing } from "./place.ts";
import type { Row } from "./rows.ts";

const cm = ["configmaps", configMap("$n", { a: "1" })] as const;
const held = ["configmaps", configMap("$n", {}, { finalizers: ["example.com/hold"] })] as const;
const merge = { "content-type": "application/merge-patch+json" };
const options = (more: object): object => ({ kind: "DeleteOptions", apiVersion: "v1", ...more });
const gone = { ask: "GET configmaps/$n", code: 404, reason: "NotFound" } as const;
const there = { ask: "GET configmaps/$n", code: 200, without: ["metadata.deletionTimestamp"] } as const;

export const deleteRows: Row[] = [
  {
    when: "a delete answers with a Status that says what went",
    given: [cm],
    ask: "DELETE configmaps/$n",
    code: 200,
    body: {
      kind: "Status",
      apiVersion: "v1",
      status: "Success",
      details: { name: "$n", kind: "configmaps", uid: "$uid" },
    },
    after: [gone],
  },
  {
    when: "a delete of a custom object names its group",
    given: [["things", thing("$n")]],
    ask: "DELETE things/$n",
    code: 200,
    body: { status: "Success", details: { name: "$n", group, kind: "things", uid: "$uid" } },
  },
  { when: "a delete of what is not there is NotFound", ask: "DELETE configmaps/$n", code: 404, reason: "NotFound" },
  {
    when: "options may come in a body",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ gracePeriodSeconds: 0 }),
    code: 200,
    after: [gone],
  },
  {
    when: "another uid is a Conflict",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ preconditions: { uid: "other" } }),
    code: 409,
    reason: "Conflict",
    after: [there],
  },
  {
    when: "the same uid passes",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ preconditions: { uid: "$uid" } }),
    code: 200,
    after: [gone],
  },
  {
    when: "a stale version is a Conflict",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ preconditions: { resourceVersion: "1" } }),
    code: 409,
    reason: "Conflict",
    after: [there],
  },
  {
    when: "the version seen passes",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ preconditions: { resourceVersion: "$rv" } }),
    code: 200,
    after: [gone],
  },
  {
    when: "a propagation of another sort is Invalid",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ propagationPolicy: "Sideways" }),
    code: 422,
    reason: "Invalid",
    fields: ["propagationPolicy"],
    body: { details: { group: "meta.k8s.io", kind: "DeleteOptions" } },
    after: [there],
  },
  {
    when: "propagation and orphanDependents together are Invalid",
    given: [cm],
    ask: "DELETE configmaps/$n",
    send: options({ propagationPolicy: "Orphan", orphanDependents: true }),
    code: 422,
    reason: "Invalid",
  },
  {
    when: "a dry run of a delete deletes nothing",
    given: [cm],
    ask: "DELETE configmaps/$n?dryRun=All",
    code: 200,
    after: [there],
  },
  {
    when: "a dry run of a delete of another sort is Invalid",
    given: [cm],
    ask: "DELETE configmaps/$n?dryRun=Some",
    code: 422,
    reason: "Invalid",
    after: [there],
  },
  {
    when: "a finalizer holds the object, marked",
    given: [held],
    ask: "DELETE configmaps/$n",
    code: 200,
    body: { kind: "ConfigMap", metadata: { deletionGracePeriodSeconds: 0, finalizers: ["example.com/hold"] } },
    text: /"deletionTimestamp":"\d{4}-/,
    after: [
      { ask: "GET configmaps/$n", code: 200, text: /"deletionTimestamp"/ },
      { ask: "DELETE configmaps/$n", code: 200 },
      { ask: "PATCH configmaps/$n", send: { metadata: { finalizers: null } }, headers: merge, code: 200 },
    ],
  },
  {
    when: "an object without its last finalizer is gone",
    given: [held],
    ask: "DELETE configmaps/$n",
    code: 200,
    after: [{ ask: "PATCH configmaps/$n", send: { metadata: { finalizers: null } }, headers: merge, code: 200 }, gone],
  },
  {
    when: "no finalizer is added to an object under deletion",
    given: [held],
    ask: "DELETE configmaps/$n",
    code: 200,
    after: [
      {
        ask: "PATCH configmaps/$n",
        send: { metadata: { finalizers: ["example.com/hold", "example.com/more"] } },
        headers: merge,
        code: 422,
        reason: "Invalid",
        fields: ["metadata.finalizers"],
      },
      { ask: "PATCH configmaps/$n", send: { metadata: { finalizers: null } }, headers: merge, code: 200 },
    ],
  },
  {
    when: "data of an object under deletion may still change",
    given: [held],
    ask: "DELETE configmaps/$n",
    code: 200,
    after: [
      { ask: "PATCH configmaps/$n", send: { data: { b: "2" } }, headers: merge, code: 200, body: { data: { b: "2" } } },
      { ask: "PATCH configmaps/$n", send: { metadata: { finalizers: null } }, headers: merge, code: 200 },
    ],
  },
  {
    when: "many go by label",
    given: ["a", "b", "c"].map((suffix) => [
      "configmaps",
      configMap(`$n-${suffix}`, {}, { labels: { row: "$n", keep: String(suffix === "c") } }),
    ]),
    ask: "DELETE configmaps?labelSelector=row%3D$n,keep%3Dfalse",
    code: 200,
    after: [{ ask: "GET configmaps?labelSelector=row%3D$n", code: 200, names: ["$n-c"] }],
  },
  {
    when: "many go by field",
    given: ["a", "b"].map((suffix) => ["configmaps", configMap(`$n-${suffix}`, {}, { labels: { row: "$n" } })]),
    ask: "DELETE configmaps?labelSelector=row%3D$n&fieldSelector=metadata.name%3D$n-a",
    code: 200,
    after: [{ ask: "GET configmaps?labelSelector=row%3D$n", code: 200, names: ["$n-b"] }],
  },
  {
    when: "a dry run of many deletes none",
    given: [["configmaps", configMap("$n", {}, { labels: { row: "$n" } })]],
    ask: "DELETE configmaps?labelSelector=row%3D$n&dryRun=All",
    code: 200,
    after: [there],
  },
  {
    when: "many with a broken selector are BadRequest",
    ask: "DELETE configmaps?labelSelector=a%20b",
    code: 400,
    reason: "BadRequest",
  },
  { when: "many over all namespaces are not deleted", ask: "DELETE /api/v1/configmaps", code: 405 },
  {
    when: "a pod nobody runs is gone at once, grace or not",
    given: [
      [
        "pods",
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "$n" },
          spec: { schedulerName: "nobody", containers: [{ name: "c", image: "example.com/a:1" }] },
        },
      ],
    ],
    ask: "DELETE pods/$n",
    send: options({ gracePeriodSeconds: 30 }),
    code: 200,
    after: [{ ask: "GET pods/$n", code: 404 }],
  },
  {
    when: "the first namespaces may not be deleted",
    ask: "DELETE namespaces/default",
    code: 403,
    reason: "Forbidden",
    message: 'namespaces "default" is forbidden: this namespace may not be deleted',
  },
  { when: "nor may the system's", ask: "DELETE namespaces/kube-system?dryRun=All", code: 403, reason: "Forbidden" },
];
