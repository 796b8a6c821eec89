// A cluster's own limits - memory of the importer, quotas of the namespace - each on an embedded cluster of its own: what the
// row of fault-rows.ts says, and that raising the limit is all it takes.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { annotations } from "../../src/api/annotations.ts";
import type { Claim, Pod } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { FAULTS } from "../../src/lib/faults.ts";
import { removeDir, temporaryDir } from "../support/cdi-up.ts";
import {
  conditionOf,
  dataVolumeOf,
  diskOf,
  eventsAbout,
  history,
  holdsImage,
  phaseIs,
  startCluster,
} from "../support/cluster.ts";
import { quota, quotaRef } from "../support/quota.ts";
import { startHttpServer } from "../support/http-server.ts";
import { faultRows } from "./fault-rows.ts";
import { limitRows } from "./fault-limits.ts";
import { image } from "./fault-worlds.ts";

const run = promisify(execFile);
const config = { kind: kinds.cdiConfig, name: "config" };
const rowOf = (when: string) => {
  const row = faultRows.find((one) => one.when === when);
  if (!row || !limitRows.includes(when)) throw new Error(`no row "${when}"`);
  return row;
};

/** A cluster, and a DataVolume of an image there, as `before` leaves the cluster. */
async function begun(
  name: string,
  before: (cluster: Embedded) => Promise<unknown>,
  body: Uint8Array = image,
): Promise<Embedded> {
  const cluster = await startCluster(onTestFinished);
  await before(cluster);
  const server = await startHttpServer({ files: { "/a.img": body } });
  await cluster.client.create(dataVolumeOf({ name, size: "16Mi", url: server.url("/a.img") }), kinds.dataVolume);
  return cluster;
}

/** Waits until the row shows, and asserts it. @returns all states on the way */
async function showsRow(cluster: Embedded, name: string, when: string): Promise<DataVolume[]> {
  const { code, phase, condition, reason, text } = rowOf(when);
  const isShown = (dv: DataVolume): boolean =>
    conditionOf(dv, "Stalled")?.reason === code &&
    conditionOf(dv, condition)?.reason === reason &&
    dv.status?.phase === phase;
  const states = await history<DataVolume>(cluster, kinds.dataVolume, name, isShown);
  const last = states.at(-1) as DataVolume;
  expect(last.status).toMatchObject({ phase, transfer: { code, remedy: FAULTS[code].remedy } });
  expect(conditionOf(last, condition)).toMatchObject({ status: "False" });
  expect(conditionOf(last, condition)?.message ?? "").toContain(text);
  expect(conditionOf(last, "Stalled")?.message).toContain(FAULTS[code].remedy);
  const told = async () => (await eventsAbout(cluster, name, "DataVolume")).map((event) => event.reason);
  await expect.poll(told, { timeout: 60_000 }).toContain(code);
  return states;
}

async function succeeds(cluster: Embedded, name: string): Promise<void> {
  const states = await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded", "Failed"));
  expect(states.at(-1)?.status?.phase).toBe("Succeeded");
  expect(holdsImage((await diskOf(cluster, name)) as Buffer, image)).toBe(true);
}

const noGroups = process.getuid?.() === 0 ? undefined : "memory cgroups need root";

test.skipIf(noGroups)(
  `killed at the memory limit${noGroups ? `: ${noGroups}` : ""}`,
  { timeout: 240_000 },
  async () => {
    const limitTo = (cluster: Embedded, memory: string): Promise<unknown> => {
      const spec = { podResourceRequirements: { limits: { memory }, requests: { memory: "16M" } } };
      return cluster.client.patch(config, { spec }, { type: "merge" });
    };
    const name = "hungry";
    const cluster = await begun(name, (made) => limitTo(made, "56M"));
    await showsRow(cluster, name, "killed at the memory limit");
    // Each kill switches the way of writing: the next pod is told to go past the page cache, the one after it not.
    const modes = new Set<string>();
    const seen = (pod: Pod): boolean => {
      const mode = pod.spec.containers[0]?.env?.find((one) => one.name === "CACHE_MODE")?.value ?? "";
      const exit = pod.status?.containerStatuses?.[0]?.state?.terminated;
      // The node may start it once more before the pod is deleted, and then end it before it runs.
      if (exit?.exitCode === 137 && exit.reason === "OOMKilled") modes.add(mode);
      return modes.has("TRYNONE");
    };
    await history<Pod>(cluster, kinds.pod, `importer-${name}`, seen);
    expect([...modes]).toContain("TRYNONE");
    await limitTo(cluster, "600M");
    await succeeds(cluster, name);
    const claim = (await cluster.client.get({ kind: kinds.claim, namespace: "default", name })) as Claim;
    expect(claim.metadata.annotations?.[annotations.podPhase]).toBe("Succeeded");
  },
);

test(
  "an import within the quotas of its namespace, whose pod is limited below them",
  { timeout: 240_000 },
  async () => {
    const name = "fitting";
    const hard = {
      "requests.storage": "16Mi",
      persistentvolumeclaims: "1",
      pods: "1",
      "limits.cpu": "1",
      "limits.memory": "600M",
    };
    const cluster = await begun(name, ({ client }) => client.create(quota(hard), kinds.resourceQuota));
    await succeeds(cluster, name);
  },
);

test("the claim would exceed a quota", { timeout: 240_000 }, async () => {
  const name = "large";
  const hard = (storage: string) => ({ "requests.storage": storage });
  const cluster = await begun(name, ({ client }) => client.create(quota(hard("8Mi")), kinds.resourceQuota));
  await showsRow(cluster, name, "the claim would exceed a quota");
  expect(await cluster.client.get({ kind: kinds.claim, namespace: "default", name })).toBeUndefined();
  await cluster.client.patch(quotaRef, { spec: { hard: hard("1Gi") } }, { type: "merge" });
  await succeeds(cluster, name);
  const used = async () => (await cluster.client.get(quotaRef))?.status;
  await expect.poll(used).toEqual({ hard: hard("1Gi"), used: hard("16Mi") });
});

test("the pod would exceed a quota", { timeout: 240_000 }, async () => {
  const name = "many";
  const hard = (memory: string) => ({ "limits.memory": memory, pods: "3" });
  const cluster = await begun(name, ({ client }) => client.create(quota(hard("500M")), kinds.resourceQuota));
  await showsRow(cluster, name, "the pod would exceed a quota");
  const claimEvents = await eventsAbout(cluster, name, "PersistentVolumeClaim");
  expect(claimEvents.map((event) => event.reason)).toContain("ErrExceededQuota");
  expect(await cluster.client.get({ kind: kinds.pod, namespace: "default", name: `importer-${name}` })).toBeUndefined();
  await cluster.client.patch(quotaRef, { spec: { hard: hard("700M") } }, { type: "merge" });
  await succeeds(cluster, name);
});

test("the scratch claim would exceed a quota", { timeout: 240_000 }, async () => {
  const name = "staged";
  const hard = (storage: string) => ({ "requests.storage": storage });
  const vmdk = await asVmdk(image);
  const cluster = await begun(name, ({ client }) => client.create(quota(hard("20Mi")), kinds.resourceQuota), vmdk);
  await showsRow(cluster, name, "the scratch claim would exceed a quota");
  const claimEvents = await eventsAbout(cluster, name, "PersistentVolumeClaim");
  expect(claimEvents).toContainEqual(
    expect.objectContaining({ reason: "ErrExceededQuota", message: expect.stringContaining("exceeded quota: small") }),
  );
  await cluster.client.patch(quotaRef, { spec: { hard: hard("1Gi") } }, { type: "merge" });
  await succeeds(cluster, name);
});

/** A disk whose tables come last: it cannot be written as it comes. */
async function asVmdk(bytes: Uint8Array): Promise<Buffer> {
  const dir = await temporaryDir();
  onTestFinished(() => removeDir(dir));
  await writeFile(join(dir, "a.img"), bytes);
  await run("qemu-img", ["convert", "-f", "raw", "-O", "vmdk", join(dir, "a.img"), join(dir, "a.vmdk")]);
  return readFile(join(dir, "a.vmdk"));
}
