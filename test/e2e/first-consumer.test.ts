// Claims of a class that waits for its first consumer, through whole imports: with the gate off the importer is that
// consumer, with the gate on the import waits for somebody else's pod unless the user asked for binding at once.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { annotations } from "../../src/api/annotations.ts";
import type { Claim } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";
import { removeDir, temporaryDir } from "../support/cdi-up.ts";
import {
  conditionOf,
  dataVolumeOf,
  diskOf,
  eventsAbout,
  history,
  holdsImage,
  isReady,
  phaseIs,
  startCluster,
  type Wish,
} from "../support/cluster.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(8 * mib, 30, 17);
const storageClass = "local-wffc";
const immediate = { [annotations.bindImmediate]: "" };
const withScratch = { [annotations.importRequiresScratch]: "true" };
const release: (() => Promise<void>)[] = [];
let cluster: Embedded;
let server: HttpTestServer;

beforeAll(async () => {
  cluster = await startCluster((act) => release.push(act));
  const dir = await temporaryDir();
  release.push(() => removeDir(dir));
  const raw = join(dir, "disk.img");
  const qcow2 = join(dir, "disk.qcow2");
  await writeFile(raw, image);
  await promisify(execFile)("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, qcow2]);
  const files = { "/disk.img": image, "/disk.qcow2": await readFile(qcow2) };
  server = await startHttpServer({ files }, "keep");
  release.push(() => server.close());
  // Scratch space comes from the class that waits, too.
  const spec = { scratchSpaceStorageClass: storageClass };
  await cluster.client.patch({ kind: kinds.cdiConfig, name: "config" }, { spec }, { type: "merge" });
});
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

async function setGate(on: boolean): Promise<void> {
  const spec = { featureGates: on ? ["HonorWaitForFirstConsumer"] : [] };
  await cluster.client.patch({ kind: kinds.cdiConfig, name: "config" }, { spec }, { type: "merge" });
}
const create = (wish: Wish): Promise<KubeObject> =>
  cluster.client.create(dataVolumeOf({ storageClass, ...wish }), kinds.dataVolume);
const statesOf = (name: string, until: (dv: DataVolume) => boolean): Promise<DataVolume[]> =>
  history<DataVolume>(cluster, kinds.dataVolume, name, until);
const phasesOf = (states: DataVolume[]): string[] => [...new Set(states.map((one) => one.status?.phase ?? ""))];
const claimOf = async (name: string): Promise<Claim> =>
  (await cluster.client.get({ kind: kinds.claim, namespace: "default", name })) as Claim;

interface Row {
  when: string;
  wish: () => Omit<Wish, "name">;
  holds: Buffer;
}
const rows: Row[] = [
  { when: "raw", wish: () => ({ size: "32Mi", url: server.url("/disk.img") }), holds: image },
  {
    when: "raw onto a device",
    wish: () => ({ size: "32Mi", mode: "Block", url: server.url("/disk.img") }),
    holds: image,
  },
  {
    when: "qcow2 with scratch space",
    wish: () => ({ size: "32Mi", url: server.url("/disk.qcow2"), annotations: withScratch }),
    holds: image,
  },
  { when: "blank", wish: () => ({ size: "16Mi" }), holds: Buffer.alloc(0) },
];

describe("gate off: nobody waits", () => {
  beforeAll(() => setGate(false));

  test.each(rows)("$when", async ({ when, wish, holds }) => {
    const name = `off-${when.replaceAll(" ", "-")}`;
    await create({ name, ...wish() });
    const states = await statesOf(name, isReady);
    expect(phasesOf(states)).not.toContain("WaitForFirstConsumer");
    expect(phasesOf(states).at(-1)).toBe("Succeeded");
    expect(holdsImage((await diskOf(cluster, name)) ?? Buffer.alloc(0), holds)).toBe(true);
    expect((await claimOf(name)).metadata.annotations?.["volume.kubernetes.io/selected-node"]).toBe("embedded");
  });

  test("a bad URL shows its fault, not a wait", async () => {
    await create({ name: "off-bad", size: "16Mi", url: server.url("/not-there.img") });
    const states = await statesOf("off-bad", (dv) => conditionOf(dv, "Running")?.reason === "Error");
    expect(phasesOf(states)).not.toContain("WaitForFirstConsumer");
    expect(conditionOf(states.at(-1) as DataVolume, "Running")).toMatchObject({ status: "False" });
  });
});

describe("gate on, binding at once", () => {
  beforeAll(() => setGate(true));

  test.each(rows)("$when", async ({ when, wish, holds }) => {
    const name = `now-${when.replaceAll(" ", "-")}`;
    const wanted = wish();
    await create({ name, ...wanted, annotations: { ...wanted.annotations, ...immediate } });
    const states = await statesOf(name, isReady);
    expect(phasesOf(states)).not.toContain("WaitForFirstConsumer");
    expect(holdsImage((await diskOf(cluster, name)) ?? Buffer.alloc(0), holds)).toBe(true);
  });
});

describe("gate on", () => {
  beforeAll(() => setGate(true));
  const waitText = "waiting for first consumer to be created before binding";
  const isTold = (name: string) => (dv: DataVolume) =>
    phaseIs("WaitForFirstConsumer")(dv) &&
    conditionOf(dv, "Bound")?.message === `target PVC ${name} Pending and ${waitText}`;

  test("the import waits, says for what, and goes on once a pod has had the claim bound", async () => {
    await create({ name: "waits", size: "32Mi", url: server.url("/disk.img") });
    const waiting = await statesOf("waits", isTold("waits"));
    expect(conditionOf(waiting.at(-1) as DataVolume, "Bound")).toMatchObject({ status: "False", reason: "Pending" });
    expect((await claimOf("waits")).spec.volumeName).toBeUndefined();
    const consumer = aConsumer("consumer", "waits");
    const made = await cluster.client.create(consumer, kinds.pod);
    const bound = await statesOf("waits", (dv) => conditionOf(dv, "Bound")?.status === "True");
    expect(phasesOf(bound).at(-1)).toBe("PVCBound");
    // While the consumer lives, the target is its own.
    await expect
      .poll(async () => (await eventsAbout(cluster, "waits")).map(({ reason }) => reason), { timeout: 10_000 })
      .toContain("ImportTargetInUse");
    await cluster.client.delete(
      { kind: kinds.pod, namespace: "default", name: "consumer" },
      { uid: made.metadata.uid ?? "", gracePeriodSeconds: 0 },
    );
    await statesOf("waits", isReady);
    expect(holdsImage((await diskOf(cluster, "waits")) ?? Buffer.alloc(0), image)).toBe(true);
    expect((await claimOf("waits")).metadata.annotations).not.toHaveProperty([annotations.boundConditionReason]);
  });

  test("the gate turned off lets it go", async () => {
    await create({ name: "let-go", size: "16Mi", url: server.url("/disk.img") });
    await statesOf("let-go", phaseIs("WaitForFirstConsumer"));
    await setGate(false);
    await statesOf("let-go", isReady);
  });

  test("another class is not waited for", async () => {
    await setGate(true);
    await create({ name: "other-class", size: "16Mi", url: server.url("/disk.img"), storageClass: "local" });
    expect(phasesOf(await statesOf("other-class", isReady))).not.toContain("WaitForFirstConsumer");
  });
});

test("an import that is done is not done again when its claim loses all annotations", async () => {
  await create({ name: "stripped", size: "16Mi", url: server.url("/disk.img"), storageClass: "local" });
  const done = (await statesOf("stripped", isReady)).at(-1) as DataVolume;
  const asked = server.requests.length;
  // All but those that make it an import target.
  const kept: string[] = [annotations.importEndpoint, annotations.importSource];
  const lost = Object.keys((await claimOf("stripped")).metadata.annotations ?? {}).filter(
    (key) => key.startsWith("cdi.kubevirt.io/") && !kept.includes(key),
  );
  const none = Object.fromEntries(lost.map((key) => [key, null]));
  const ref = { kind: kinds.claim, namespace: "default", name: "stripped" };
  await cluster.client.patch(ref, { metadata: { annotations: none } }, { type: "merge" });
  // Another import, made after it, is through: the first was looked at meanwhile.
  await create({ name: "after-stripped", size: "16Mi", url: server.url("/disk.img"), storageClass: "local" });
  await statesOf("after-stripped", isReady);
  expect(server.requests.slice(asked).length).toBeGreaterThan(0);
  const now = (await cluster.client.get({
    kind: kinds.dataVolume,
    namespace: "default",
    name: "stripped",
  })) as DataVolume;
  expect(now.status?.phase).toBe("Succeeded");
  expect(now.status?.progress).toBe(done.status?.progress);
  expect((await claimOf("stripped")).metadata.annotations).not.toHaveProperty([annotations.importPodName]);
  expect(holdsImage((await diskOf(cluster, "stripped")) ?? Buffer.alloc(0), image)).toBe(true);
});

/** Any pod that mounts the claim: its image is unknown here, so it never runs. */
const aConsumer = (name: string, claimName: string): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default" },
  spec: {
    containers: [{ name: "main", image: "consumer:none", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    volumes: [{ name: "data", persistentVolumeClaim: { claimName } }],
  },
});
