// ResourceQuota: what counts, what is refused in the real server's words, and the status that follows.
import { expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../../../src/api/meta.ts";
import { shownAmount } from "../../../../src/embedded/server/quota/usage.ts";
import { startTestServer, type TestServer } from "../../../support/embedded-server.ts";

const metadata = (name: string, more: object = {}) => ({ name, namespace: "default", ...more });
const quota = (name: string, hard: Record<string, string | number>): KubeObject => ({
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: metadata(name),
  spec: { hard },
});
const claim = (name: string, storage: string, storageClassName?: string): KubeObject => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: metadata(name),
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } }, storageClassName },
});
const pod = (name: string, ...resources: object[]): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: metadata(name),
  spec: { containers: resources.map((one, at) => ({ name: `c${at}`, image: "x", resources: one })) },
});
const secret = (name: string): KubeObject => ({ apiVersion: "v1", kind: "Secret", metadata: metadata(name) });
const limits = (cpu: string, memory: string) => ({ limits: { cpu, memory } });

interface Row {
  when: string;
  hard: Record<string, string>;
  /** Created before, without trouble. */
  before?: [KubeObject, KindRef][];
  asked: [KubeObject, KindRef];
  /** What the refusal says; none means that it is let in. */
  refusal?: string;
}
const rows: Row[] = [
  {
    when: "storage over all claims",
    hard: { "requests.storage": "1Gi" },
    before: [[claim("a", "600Mi"), kinds.claim]],
    asked: [claim("b", "500Mi"), kinds.claim],
    refusal:
      'persistentvolumeclaims "b" is forbidden: exceeded quota: q, requested: requests.storage=500Mi, used: requests.storage=600Mi, limited: requests.storage=1Gi',
  },
  {
    when: "storage exactly used up",
    hard: { "requests.storage": "1Gi" },
    before: [[claim("a", "524Mi"), kinds.claim]],
    asked: [claim("b", "500Mi"), kinds.claim],
  },
  {
    when: "storage of one class",
    hard: { "fast.storageclass.storage.k8s.io/requests.storage": "1Gi" },
    asked: [claim("b", "2Gi", "fast"), kinds.claim],
    refusal:
      'persistentvolumeclaims "b" is forbidden: exceeded quota: q, requested: fast.storageclass.storage.k8s.io/requests.storage=2Gi, used: fast.storageclass.storage.k8s.io/requests.storage=0, limited: fast.storageclass.storage.k8s.io/requests.storage=1Gi',
  },
  {
    when: "storage of another class",
    hard: { "fast.storageclass.storage.k8s.io/requests.storage": "1Gi" },
    asked: [claim("b", "2Gi", "slow"), kinds.claim],
  },
  {
    when: "limits of a pod of two containers",
    hard: { "limits.cpu": "1", "limits.memory": "1Gi" },
    asked: [pod("p", limits("750m", "600M"), limits("500m", "100M")), kinds.pod],
    refusal:
      'pods "p" is forbidden: exceeded quota: q, requested: limits.cpu=1250m, used: limits.cpu=0, limited: limits.cpu=1',
  },
  {
    when: "requests that follow from limits",
    hard: { "requests.memory": "500M" },
    asked: [pod("p", limits("1", "600M")), kinds.pod],
    refusal:
      'pods "p" is forbidden: exceeded quota: q, requested: requests.memory=600M, used: requests.memory=0, limited: requests.memory=500M',
  },
  {
    when: "a pod that does not say what the quota counts",
    hard: { "limits.cpu": "1", "limits.memory": "1Gi" },
    asked: [pod("p", { limits: { memory: "1M" } }, {}), kinds.pod],
    refusal: 'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: c0,c1; limits.memory for: c1',
  },
  {
    when: "pods that have ended are not counted",
    hard: { pods: "1" },
    before: [[{ ...pod("old", {}), status: { phase: "Succeeded" } }, kinds.pod]],
    asked: [pod("new", {}), kinds.pod],
  },
  {
    when: "objects of any kind",
    hard: { "count/secrets": "1" },
    before: [[secret("a"), kinds.secret]],
    asked: [secret("b"), kinds.secret],
    refusal:
      'secrets "b" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1',
  },
];

async function started(): Promise<TestServer> {
  const server = await startTestServer();
  onTestFinished(() => server.close());
  return server;
}

test.each(rows)("$when", async ({ hard, before = [], asked, refusal }) => {
  const { client } = await started();
  for (const [object, kind] of before) {
    const made = await client.create(object, kind);
    const { status } = object as { status?: object };
    const ref = { kind, namespace: "default", name: made.metadata.name ?? "" };
    if (status) await client.patch(ref, { status }, { type: "merge", subresource: "status" });
  }
  await client.create(quota("q", hard), kinds.resourceQuota);
  const act = client.create(...asked);
  if (refusal === undefined) await expect(act).resolves.toBeDefined();
  else await expect(act).rejects.toMatchObject({ status: 403, message: refusal });
});

test("a claim that grows past the quota is refused; one that does not grow is not", async () => {
  const { client } = await started();
  await client.create(claim("a", "1Gi"), kinds.claim);
  await client.create(quota("q", { "requests.storage": "512Mi" }), kinds.resourceQuota);
  const ref = { kind: kinds.claim, namespace: "default", name: "a" };
  const sized = (storage: string) => ({ spec: { resources: { requests: { storage } } } });
  await expect(client.patch(ref, sized("2Gi"), { type: "merge" })).rejects.toMatchObject({ status: 403 });
  await expect(client.patch(ref, { metadata: { labels: { a: "b" } } }, { type: "merge" })).resolves.toBeDefined();
});

test("two at once never share the last of a quota", async () => {
  const { client } = await started();
  await client.create(quota("q", { "count/secrets": "3" }), kinds.resourceQuota);
  const all = await Promise.allSettled(
    Array.from({ length: 8 }, (_, at) => client.create(secret(`s${at}`), kinds.secret)),
  );
  expect(all.filter(({ status }) => status === "fulfilled").length).toBe(3);
});

test("the status follows what comes and goes", async () => {
  const { client } = await started();
  const ref = { kind: kinds.resourceQuota, namespace: "default", name: "q" };
  await client.create(quota("q", { "requests.storage": "1Gi", persistentvolumeclaims: 4 }), kinds.resourceQuota);
  const used = async (): Promise<unknown> => ((await client.get(ref))?.status as { used?: object } | undefined)?.used;
  await expect.poll(used).toEqual({ "requests.storage": "0", persistentvolumeclaims: "0" });
  await client.create(claim("a", "100Mi"), kinds.claim);
  await expect.poll(used).toEqual({ "requests.storage": "100Mi", persistentvolumeclaims: "1" });
  await client.delete({ kind: kinds.claim, namespace: "default", name: "a" });
  await expect.poll(used).toEqual({ "requests.storage": "0", persistentvolumeclaims: "0" });
});

test.each([
  [0, "0"],
  [750, "750m"],
  [1000, "1"],
  [1250, "1250m"],
  [600_000_000_000, "600M"],
  [1024 ** 3 * 1000, "1Gi"],
  [(1024 ** 2 + 1) * 1000, "1048577"],
])("%d thousandths are shown as %s", (amount, text) => {
  expect(shownAmount(amount)).toBe(text);
});
