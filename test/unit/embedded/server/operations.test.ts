// The server's own work, in process: admission, dry run, graceful pods, namespaces, definitions, owners, old watches.
import { expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../../../src/api/meta.ts";
import type { AdmissionHook } from "../../../../src/embedded/types.ts";
import { dropOldEvents } from "../../../../src/embedded/server/event-expiry.ts";
import { openRegistry } from "../../../../src/embedded/server/registry.ts";
import { openStore } from "../../../../src/embedded/store/index.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { silentLog } from "../../../../src/lib/log.ts";
import { until } from "../../../conformance/kube-client-suite.ts";
import { startTestServer, type TestServer } from "../../../support/embedded-server.ts";

const configMap = (name: string, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", ...more },
});
const pod = (name: string, spec: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default" },
  spec: { containers: [{ name: "c", image: "quay.io/x/y:v1" }], ...spec },
});
const widgets: KindRef = { apiVersion: "test.io/v1", kind: "Widget", plural: "widgets", namespaced: true };
const widgetDefinition: KubeObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.test.io" },
  spec: {
    group: "test.io",
    scope: "Namespaced",
    names: { plural: "widgets", kind: "Widget" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
  },
};

async function started(options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  onTestFinished(() => server.close());
  return server;
}

const gone = (object: KubeObject | undefined): boolean => object === undefined;

test("an admission hook's complaints refuse the write in the words of a webhook", async () => {
  const hook: AdmissionHook = ({ kind, operation, object }, read) =>
    kind.plural === "widgets" &&
    operation === "CREATE" &&
    !read.get(kinds.configMap, object.metadata.name ?? "", "default")
      ? [
          { type: "FieldValueInvalid", message: "first", field: "spec.a" },
          { type: "FieldValueInvalid", message: "second", field: "spec.b" },
        ]
      : [];
  const { client } = await started({ admission: [hook] });
  await client.create(widgetDefinition, kinds.crd);
  const widget = { apiVersion: "test.io/v1", kind: "Widget", metadata: { name: "w", namespace: "default" } };
  await expect(client.create(widget, widgets)).rejects.toMatchObject({
    status: 422,
    message: 'admission webhook "widget-validate.test.io" denied the request:  first second',
    details: { causes: [{ reason: "FieldValueInvalid", message: "first", field: "spec.a" }, { field: "spec.b" }] },
  });
  await client.create(configMap("w"), kinds.configMap);
  await expect(client.create(widget, widgets)).resolves.toBeDefined();
});

test("objects handed out cannot be changed", async () => {
  const { client } = await started();
  const made = await client.create(configMap("frozen", { labels: { a: "b" } }), kinds.configMap);
  expect(() => Object.assign(made.metadata.labels ?? {}, { a: "c" })).toThrow(TypeError);
  const [listed] = (await client.list(kinds.configMap, { namespace: "default" })).items;
  expect(() => Object.assign(listed ?? {}, { data: {} })).toThrow(TypeError);
});

test("what a caller created from may be changed afterwards without effect", async () => {
  const { client } = await started();
  const object = configMap("mine", { labels: { a: "b" } });
  await client.create(object, kinds.configMap);
  Object.assign(object.metadata.labels ?? {}, { a: "c" });
  expect((await client.get({ kind: kinds.configMap, namespace: "default", name: "mine" }))?.metadata.labels).toEqual({
    a: "b",
  });
});

test("a running pod gets its grace period; the node ends it with a delete of none", async () => {
  const { client } = await started();
  const ref = { kind: kinds.pod, namespace: "default", name: "p" };
  await client.create(pod("p", { nodeName: "n", terminationGracePeriodSeconds: 20 }), kinds.pod);
  await client.delete(ref);
  const marked = await client.get(ref);
  expect(marked?.metadata).toMatchObject({ deletionGracePeriodSeconds: 20, deletionTimestamp: expect.any(String) });
  await client.delete(ref);
  expect((await client.get(ref))?.metadata.resourceVersion).toBe(marked?.metadata.resourceVersion);
  await client.delete(ref, { gracePeriodSeconds: 5 });
  expect((await client.get(ref))?.metadata.deletionGracePeriodSeconds).toBe(5);
  await client.patch(ref, { status: { phase: "Failed" } }, { type: "merge", subresource: "status" });
  expect(await client.get(ref)).toBeDefined();
  await client.delete(ref, { gracePeriodSeconds: 0 });
  expect(await client.get(ref)).toBeUndefined();
});

test("a pod that ended is gone at once", async () => {
  const { client } = await started();
  const ref = { kind: kinds.pod, namespace: "default", name: "done" };
  await client.create(pod("done", { nodeName: "n" }), kinds.pod);
  await client.patch(ref, { status: { phase: "Succeeded" } }, { type: "merge", subresource: "status" });
  await client.delete(ref);
  expect(await client.get(ref)).toBeUndefined();
});

test("a pod with a finalizer that was deleted with no grace goes when the finalizer does", async () => {
  const { client } = await started();
  const ref = { kind: kinds.pod, namespace: "default", name: "f" };
  const object = pod("f", { nodeName: "n" });
  await client.create({ ...object, metadata: { ...object.metadata, finalizers: ["x.io/y"] } }, kinds.pod);
  await client.delete(ref, { gracePeriodSeconds: 0 });
  expect(await client.get(ref)).toBeDefined();
  await client.patch(ref, { metadata: { finalizers: null } }, { type: "merge" });
  expect(await client.get(ref)).toBeUndefined();
});

test("new pods get the defaults that programs and kubectl rely on", async () => {
  const { client } = await started();
  const made = await client.create(pod("d"), kinds.pod);
  expect(made).toMatchObject({
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      containers: [
        {
          imagePullPolicy: "IfNotPresent",
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
    },
    status: { phase: "Pending", qosClass: "BestEffort" },
  });
});

test("a namespace takes its contents along, takes nothing new meanwhile, and is gone when the last has left", async () => {
  const { client } = await started();
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "ns" } }, kinds.namespace);
  await client.create(configMap("held", { namespace: "ns", finalizers: ["x.io/y"] }), kinds.configMap);
  await client.create(configMap("free", { namespace: "ns" }), kinds.configMap);
  await client.delete({ kind: kinds.namespace, name: "ns" });
  await until(client, kinds.configMap, "free", "ns", gone);
  expect(await client.get({ kind: kinds.namespace, name: "ns" })).toMatchObject({ status: { phase: "Terminating" } });
  await expect(client.create(configMap("late", { namespace: "ns" }), kinds.configMap)).rejects.toMatchObject({
    status: 403,
    message:
      'configmaps "late" is forbidden: unable to create new content in namespace ns because it is being terminated',
  });
  await client.patch(
    { kind: kinds.configMap, namespace: "ns", name: "held" },
    { metadata: { finalizers: null } },
    { type: "merge" },
  );
  await until(client, kinds.namespace, "ns", undefined, gone);
});

test("the first namespaces stay", async () => {
  const { client } = await started();
  await expect(client.delete({ kind: kinds.namespace, name: "default" })).rejects.toMatchObject({ status: 403 });
});

test("a definition takes its objects along and is served no longer", async () => {
  const { client } = await started();
  await client.create(widgetDefinition, kinds.crd);
  await client.create({ ...configMap("w"), apiVersion: "test.io/v1", kind: "Widget" }, widgets);
  await client.delete({ kind: kinds.crd, name: "widgets.test.io" });
  await until(client, kinds.crd, "widgets.test.io", undefined, gone);
  await expect(client.list(widgets)).rejects.toMatchObject({
    status: 404,
    message: "the server could not find the requested resource",
  });
});

const owner = (object: KubeObject) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  name: object.metadata.name,
  uid: object.metadata.uid,
});

test("owners: a chain goes with its head; one of two owners leaves only its reference behind", async () => {
  const { client } = await started();
  const head = await client.create(configMap("head"), kinds.configMap);
  const other = await client.create(configMap("other"), kinds.configMap);
  const middle = await client.create(configMap("middle", { ownerReferences: [owner(head)] }), kinds.configMap);
  await client.create(configMap("tail", { ownerReferences: [owner(middle)] }), kinds.configMap);
  await client.create(configMap("shared", { ownerReferences: [owner(head), owner(other)] }), kinds.configMap);
  await client.delete({ kind: kinds.configMap, namespace: "default", name: "head" });
  await until(client, kinds.configMap, "tail", "default", gone);
  await until(client, kinds.configMap, "shared", "default", (object) => object?.metadata.ownerReferences?.length === 1);
  expect(
    (await client.get({ kind: kinds.configMap, namespace: "default", name: "shared" }))?.metadata.ownerReferences,
  ).toEqual([owner(other)]);
});

test("an object made for an owner that is already gone goes too", async () => {
  const { client } = await started();
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "never", uid: "no-such-uid" }];
  await client.create(configMap("late", { ownerReferences }), kinds.configMap);
  await until(client, kinds.configMap, "late", "default", gone);
});

test("a watch from before the history is told to list again", async () => {
  const { client } = await started();
  const watch = (resourceVersion: string) =>
    client
      .watch(kinds.configMap, { resourceVersion, signal: AbortSignal.timeout(5000) })
      [Symbol.asyncIterator]()
      .next();
  await expect(watch("999999")).rejects.toMatchObject({ status: 410, reason: "Expired" });
});

const claim = (name: string, spec: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name, namespace: "default" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
});

test("a claim begins Pending, may be bound, and nothing else", async () => {
  const { client } = await started();
  const ref = { kind: kinds.claim, namespace: "default", name: "c" };
  const made = await client.create({ ...claim("c"), status: { phase: "Bound" } }, kinds.claim);
  expect(made).toMatchObject({ spec: { volumeMode: "Filesystem" }, status: { phase: "Pending" } });
  const spec = { volumeName: "v", storageClassName: "s" };
  expect(await client.patch(ref, { spec }, { type: "merge" })).toMatchObject({ spec });
  for (const change of [{ volumeName: "other" }, { accessModes: ["ReadOnlyMany"] }, { volumeMode: "Block" }]) {
    await expect(client.patch(ref, { spec: change }, { type: "merge" })).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining("spec is immutable after creation"),
    });
  }
});

test.each([
  { when: "bound, of a class that may", phase: "Bound", allows: true, says: undefined },
  { when: "pending", phase: "Pending", allows: true, says: "Only bound persistent volume claims can be expanded" },
  { when: "of a class that may not", phase: "Bound", allows: false, says: "must support resize" },
  { when: "of a class that does not say", phase: "Bound", allows: undefined, says: "must support resize" },
])("a claim that is $when: growth", async ({ phase, allows, says }) => {
  const { client } = await started();
  const ref = { kind: kinds.claim, namespace: "default", name: "c" };
  await client.create(
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "s" },
      provisioner: "p",
      ...(allows === undefined ? {} : { allowVolumeExpansion: allows }),
    },
    kinds.storageClass,
  );
  await client.create(claim("c", { storageClassName: "s" }), kinds.claim);
  await client.patch(ref, { status: { phase } }, { type: "merge", subresource: "status" });
  const spec = { resources: { requests: { storage: "2Gi" } } };
  const grown = client.patch(ref, { spec }, { type: "merge" });
  if (says === undefined) await expect(grown).resolves.toMatchObject({ spec });
  else await expect(grown).rejects.toMatchObject({ status: 403, message: expect.stringContaining(says) });
});

test.each([
  [
    "a claim without access modes",
    claim("x", { accessModes: [] }),
    kinds.claim,
    422,
    "at least 1 access mode is required",
  ],
  [
    "a claim without a size",
    claim("x", { resources: {} }),
    kinds.claim,
    422,
    "spec.resources[storage]: Required value",
  ],
  ["a pod without containers", pod("x", { containers: [] }), kinds.pod, 422, "spec.containers: Required value"],
  [
    "a definition of another name",
    { ...widgetDefinition, metadata: { name: "x.test.io" } },
    kinds.crd,
    422,
    'must be spec.names.plural+"."+spec.group',
  ],
  ["a definition without a spec", { ...widgetDefinition, spec: {} }, kinds.crd, 422, "spec.group: Required value"],
  ["labels that are no map", configMap("x", { labels: ["a"] }), kinds.configMap, 400, "wrong type of labels"],
])("%s is refused", async (_what, object, kind, status, text) => {
  const { client } = await started();
  await expect(client.create(object, kind)).rejects.toMatchObject({ status, message: expect.stringContaining(text) });
});

test("events go after an hour", async () => {
  const clock = {
    now: () => Date.parse("2026-01-01T12:00:00Z"),
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms, signal),
  };
  const store = await openStore();
  onTestFinished(() => store.close());
  const { client } = await started({ clock, store });
  for (const [name, lastTimestamp] of [
    ["old", "2026-01-01T10:59:00Z"],
    ["new", "2026-01-01T11:01:00Z"],
  ] as const) {
    const object = { apiVersion: "v1", kind: "Event", metadata: { name, namespace: "default" }, lastTimestamp };
    await client.create(object, kinds.event);
  }
  const registry = openRegistry(store, silentLog);
  onTestFinished(() => registry.close());
  await dropOldEvents({ store, clock, registry, log: silentLog, admission: [] });
  expect((await client.list(kinds.event)).items.map(({ metadata }) => metadata.name)).toEqual(["new"]);
});
