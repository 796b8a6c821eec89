// Uploads into a namespace with a quota: within it; and with the server, or what it needs, beyond it: said, tried again now and
// then, and all it takes is to raise the quota.
import { expect, onTestFinished, test } from "vitest";
import type { KubeEvent } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import { conditionOf, diskOf, history, holdsImage } from "../support/cluster.ts";
import { quota, quotaRef } from "../support/quota.ts";
import { emptyVolume, image, untilSucceeded, useUploadCluster } from "../support/upload-cluster.ts";

const on = useUploadCluster();

/** A DataVolume under a quota; both are gone, and the claim with them, after the test. */
async function begun(name: string, hard: Record<string, string>): Promise<void> {
  const { client } = on().cluster;
  await client.create(quota(hard), kinds.resourceQuota);
  onTestFinished(async () => {
    await client.delete({ kind: kinds.dataVolume, namespace: "default", name });
    await client.delete(quotaRef);
    const claim = () => client.get({ kind: kinds.claim, namespace: "default", name });
    await expect.poll(claim, { timeout: 60_000 }).toBeUndefined();
  });
  await emptyVolume(on(), name);
}

const raise = (hard: Record<string, string>): Promise<unknown> =>
  on().cluster.client.patch(quotaRef, { spec: { hard } }, { type: "merge" });

/** By virtctl into the DataVolume of that name. */
async function takesUpload(name: string): Promise<void> {
  const path = on().file("disk.qcow2");
  await on().virtctl.upload({ style: "new", kind: "dv", name, noCreate: true, size: "16Mi", ca: on().ca, path });
  await untilSucceeded(on(), name);
  expect(holdsImage((await diskOf(on().cluster, name)) as Buffer, image)).toBe(true);
}

const stalledOver = async (name: string, type: string): Promise<DataVolume> => {
  const isShown = (dv: DataVolume): boolean =>
    dv.status?.phase === "UploadScheduled" &&
    conditionOf(dv, "Stalled")?.reason === "QuotaExceeded" &&
    conditionOf(dv, type)?.reason === "ErrExceededQuota";
  return (await history<DataVolume>(on().cluster, kinds.dataVolume, name, isShown)).at(-1) as DataVolume;
};

/** Waits until the refusal is told again after its time, and asserts that it was not told all the while. */
async function isToldAgain(name: string): Promise<KubeEvent> {
  const isThis = ({ reason, involvedObject: about }: KubeEvent): boolean =>
    reason === "ErrExceededQuota" && about.kind === "PersistentVolumeClaim" && about.name === name;
  const told = async (): Promise<KubeEvent | undefined> =>
    ((await on().cluster.client.list(kinds.event, { namespace: "default" })).items as KubeEvent[]).find(isThis);
  // Stamps are whole seconds, and it is tried again after 10.
  const later = async (): Promise<number> => {
    const event = await told();
    return (Date.parse(event?.lastTimestamp ?? "") - Date.parse(event?.firstTimestamp ?? "")) / 1000;
  };
  await expect.poll(later, { timeout: 60_000 }).toBeGreaterThanOrEqual(9);
  const event = (await told()) as KubeEvent;
  // Changes of the claim (bound, said on it) bring runs of their own.
  expect(event.count).toBeLessThan(10);
  return event;
}

test("within the quotas of its namespace, whose pods are limited below them", { timeout: 240_000 }, async () => {
  await begun("fitting", {
    "requests.storage": "64Mi",
    persistentvolumeclaims: "2",
    pods: "1",
    services: "1",
    "limits.cpu": "1",
    "limits.memory": "600M",
  });
  await takesUpload("fitting");
});

test("a server beyond the quota", { timeout: 240_000 }, async () => {
  await begun("many", { "limits.memory": "500M" });
  const shown = await stalledOver("many", "Running");
  expect(shown.status?.progress).toBe("N/A");
  expect(conditionOf(shown, "Running")?.message).toContain("Error starting pod 'cdi-upload-many'");
  await isToldAgain("many");
  expect(await on().cluster.client.get({ kind: kinds.pod, namespace: "default", name: "cdi-upload-many" })).toBe(
    undefined,
  );
  await raise({ "limits.memory": "700M" });
  await takesUpload("many");
});

test.each([
  { what: "Service", hard: { services: "0" }, raised: { services: "5" } },
  { what: "Secret", hard: { secrets: "0" }, raised: { secrets: "5" } },
])("its $what beyond the quota", { timeout: 240_000 }, async ({ what, hard, raised }) => {
  const name = `no-${what.toLowerCase()}`;
  await begun(name, hard);
  const isShown = (dv: DataVolume): boolean => conditionOf(dv, "Stalled")?.reason === "QuotaExceeded";
  await history<DataVolume>(on().cluster, kinds.dataVolume, name, isShown);
  const { message } = await isToldAgain(name);
  expect(message).toMatch(new RegExp(`^Error creating ${what} 'cdi-upload-${name}': .*exceeded quota: small`));
  await raise(raised);
  const isOver = (dv: DataVolume): boolean =>
    dv.status?.phase === "UploadReady" && conditionOf(dv, "Stalled")?.status === "False";
  await history<DataVolume>(on().cluster, kinds.dataVolume, name, isOver);
  await takesUpload(name);
});

test("scratch space beyond the quota", { timeout: 240_000 }, async () => {
  await begun("large", { "requests.storage": "20Mi" });
  const shown = await stalledOver("large", "Bound");
  expect(conditionOf(shown, "Bound")?.message).toMatch(/^Error creating scratch space: .*exceeded quota: small/);
  const event = await isToldAgain("large");
  expect(event.message).toBe(conditionOf(shown, "Bound")?.message);
  await raise({ "requests.storage": "1Gi" });
  const isOver = (dv: DataVolume): boolean =>
    dv.status?.phase === "UploadReady" && conditionOf(dv, "Stalled")?.status === "False";
  const ready = (await history<DataVolume>(on().cluster, kinds.dataVolume, "large", isOver)).at(-1) as DataVolume;
  expect(conditionOf(ready, "Bound")).toMatchObject({ status: "True" });
  await takesUpload("large");
});
