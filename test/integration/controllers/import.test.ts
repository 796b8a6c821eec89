// A DataVolume's import from end to end on the embedded server, with the node played by hand; phases, conditions and events
// compared with what was recorded of upstream.
import { expect, test } from "vitest";
import type { Claim, Pod } from "../../../src/api/core.ts";
import type { DataVolume } from "../../../src/api/data-volume.ts";
import { kinds } from "../../../src/api/kinds.ts";
import { aDataVolume, crashLoop, isRunning, terminated } from "../../support/objects.ts";
import { play, type Played } from "./kubelet.ts";

const fresh = (name: string, spec: Partial<DataVolume["spec"]> = {}): DataVolume => {
  const made = aDataVolume({ name, spec });
  return { ...made, metadata: { name, namespace: "default" } };
};

/** "Phase Bound:reason Ready:reason Running:reason progress" of each status that differs from the one before. */
function story(history: readonly DataVolume[]): string[] {
  const lines = history.flatMap(({ status }) => {
    if (!status?.phase) return [];
    const [bound, ready, running] = ["Bound", "Ready", "Running"].map((type) => {
      const found = status.conditions?.find((one) => one.type === type);
      return `${type}=${found?.status ?? ""}:${found?.reason ?? ""}:${found?.message ?? ""}`;
    });
    return [`${status.phase} | ${bound} | ${ready} | ${running} | ${status.progress ?? ""}`];
  });
  return lines.filter((line, at) => line !== lines[at - 1]);
}

const phaseIs = (phase: string) => (one: DataVolume) => one.status?.phase === phase;

async function toRunning(world: Played, name: string): Promise<void> {
  // The gate is off: the pod does not wait for the claim to be bound.
  await world.until(kinds.pod, `importer-${name}`, () => true);
  await world.until(kinds.dataVolume, name, phaseIs("Pending"));
  await world.bind(name);
  await world.until(kinds.dataVolume, name, phaseIs("ImportScheduled"));
  await world.setPod(`importer-${name}`, "Pending", { waiting: { reason: "ContainerCreating" } });
  await world.until<DataVolume>(
    kinds.dataVolume,
    name,
    (one) => one.status?.conditions?.some((c) => c.reason === "ContainerCreating") ?? false,
  );
  await world.setPod(`importer-${name}`, "Running", isRunning);
  await world.until(kinds.dataVolume, name, phaseIs("ImportInProgress"));
}

test("an import that goes well is told as upstream tells it", async () => {
  const world = await play();
  await world.client.create(
    fresh("http-fs", { storage: { resources: { requests: { storage: "5Gi" } } } }),
    kinds.dataVolume,
  );
  await toRunning(world, "http-fs");
  const claim = await world.until<Claim>(kinds.claim, "http-fs", () => true);
  expect(claim.spec.resources?.requests?.storage).toBe(String(Math.ceil(5 * 2 ** 30 * 1.06)));
  const exitedMs = Date.now();
  await world.setPod(
    "importer-http-fs",
    "Succeeded",
    terminated(0, JSON.stringify({ preallocationApplied: false, message: "Import Complete" })),
  );
  const done = await world.until<DataVolume>(kinds.dataVolume, "http-fs", phaseIs("Succeeded"));
  expect(Date.now() - exitedMs).toBeLessThan(1000);
  await world.untilGone(kinds.pod, "importer-http-fs");

  const waiting = "Bound=False:Pending:PVC http-fs Pending | Ready=False:: | Running=False::";
  const bound = "Bound=True:Bound:PVC http-fs Bound";
  // As golden/upstream-1.56.1/http-fs.yaml; PVCBound may or may not be seen in between.
  expect(story(world.history("http-fs")).filter((line) => !line.startsWith("PVCBound"))).toEqual([
    `Pending | ${waiting} | N/A`,
    `ImportScheduled | ${bound} | Ready=False:: | Running=False:: | N/A`,
    `ImportScheduled | ${bound} | Ready=False:: | Running=False:ContainerCreating: | N/A`,
    `ImportInProgress | ${bound} | Ready=False:TransferRunning: | Running=True:Pod is running: | N/A`,
    `Succeeded | ${bound} | Ready=True:: | Running=False:Completed:Import Complete | 100.0%`,
  ]);
  await expect
    .poll(() => world.events("DataVolume", "http-fs"))
    .toEqual([
      "Normal Pending PVC http-fs Pending",
      // One pass brings both: the phase's event is told before the conditions'.
      "Normal ImportScheduled Import into http-fs scheduled",
      "Normal Bound PVC http-fs Bound",
      "Normal ImportInProgress Import into http-fs in progress",
      "Normal ImportSucceeded Successfully imported into PVC http-fs",
    ]);
  await expect
    .poll(() => world.events("PersistentVolumeClaim", "http-fs"))
    .toEqual(["Normal ImportSucceeded Import Successful"]);
  expect(done.status).toMatchObject({ claimName: "http-fs", observedGeneration: 1, transfer: { attempt: 1 } });
  expect(done.metadata.annotations?.["cdi.kubevirt.io/storage.usePopulator"]).toBe("false");
});

test("a 404 is tried five times in upstream's words, then Failed with code and remedy; a new retry value starts over", async () => {
  const world = await play();
  const text = "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found";
  await world.client.create(fresh("http-404"), kinds.dataVolume);
  await toRunning(world, "http-404");
  for (let exits = 1; exits < 5; exits += 1) {
    const more = { restarts: exits - 1 };
    await world.setPod("importer-http-404", "Running", terminated(77, text), more);
    const stumbled = await world.until<DataVolume>(
      kinds.dataVolume,
      "http-404",
      (one) =>
        one.status?.transfer?.attempt === exits && (one.status.conditions?.some((c) => c.reason === "Error") ?? false),
    );
    expect(stumbled.status?.phase).toBe("ImportInProgress");
    await world.setPod("importer-http-404", "Running", crashLoop, {
      restarts: exits - 1,
      lastState: terminated(77, text),
    });
    await world.setPod("importer-http-404", "Running", isRunning, { restarts: exits, lastState: terminated(77, text) });
    await world.until<DataVolume>(kinds.dataVolume, "http-404", (one) => one.status?.restartCount === exits);
  }
  await world.setPod("importer-http-404", "Running", terminated(77, text), { restarts: 4 });
  const failed = await world.until<DataVolume>(kinds.dataVolume, "http-404", phaseIs("Failed"));
  await world.untilGone(kinds.pod, "importer-http-404");
  expect(failed.status).toMatchObject({
    restartCount: 4,
    transfer: { code: "SourceNotFound", remedy: "Correct the URL.", attempt: 5 },
  });
  const said = Object.fromEntries((failed.status?.conditions ?? []).map((one) => [one.type, one]));
  expect(said).toMatchObject({
    Running: { status: "False", reason: "Error", message: text },
    Ready: { status: "False" },
    Stalled: { status: "True", reason: "SourceNotFound" },
    Reconciling: { status: "False", reason: "Failed" },
  });
  const claim = await world.until<Claim>(kinds.claim, "http-404", () => true);
  expect(claim.metadata.annotations).toMatchObject({
    "cdi.kubevirt.io/storage.import.fatalError": "true",
    "cdi.kubevirt.io/storage.pod.phase": "Failed",
    "cdi.kubevirt.io/storage.condition.running": "false",
    "cdi.kubevirt.io/storage.pod.restarts": "4",
  });
  // Events are written behind the work.
  await expect
    .poll(() => world.events("PersistentVolumeClaim", "http-404"))
    .toEqual([`Warning ErrImportFailed ${text}`]);
  await expect.poll(() => world.events("DataVolume", "http-404")).toHaveLength(7);
  const events = world.events("DataVolume", "http-404");
  expect(events.slice(0, 6)).toEqual([
    "Normal Pending PVC http-404 Pending",
    "Normal ImportScheduled Import into http-404 scheduled",
    "Normal Bound PVC http-404 Bound",
    "Normal ImportInProgress Import into http-404 in progress",
    `Warning Error ${text}`,
    expect.stringContaining("Warning SourceNotFound There is no such file on the server (404)."),
  ]);
  expect(events.slice(6)).toEqual(["Warning ImportFailed Failed to import into PVC http-404"]);

  await world.client.patch(
    { kind: kinds.dataVolume, namespace: "default", name: "http-404" },
    { metadata: { annotations: { "cdi.kubevirt.io/storage.import.retry": "again" } } },
    { type: "merge" },
  );
  await world.until<Pod>(kinds.pod, "importer-http-404", (pod) => !pod.metadata.deletionTimestamp);
  await world.until(kinds.dataVolume, "http-404", phaseIs("ImportScheduled"));
});

test("scratch space is given when the importer asks for it, and not before", async () => {
  const world = await play();
  await world.client.create(fresh("staged"), kinds.dataVolume);
  await toRunning(world, "staged");
  expect(await world.client.get({ kind: kinds.claim, namespace: "default", name: "staged-scratch" })).toBeUndefined();
  const first = await world.until<Pod>(kinds.pod, "importer-staged", () => true);
  await world.setPod(
    "importer-staged",
    "Succeeded",
    terminated(0, JSON.stringify({ scratchSpaceRequired: true, message: "Import Complete" })),
  );
  const second = await world.until<Pod>(kinds.pod, "importer-staged", (pod) => pod.metadata.uid !== first.metadata.uid);
  expect(second.spec.volumes).toContainEqual({
    name: "cdi-scratch-vol",
    persistentVolumeClaim: { claimName: "staged-scratch" },
  });
  const scratch = await world.until<Claim>(kinds.claim, "staged-scratch", () => true);
  expect(scratch.metadata.ownerReferences?.[0]?.uid).toBe(second.metadata.uid);
  const claim = await world.until<Claim>(
    kinds.claim,
    "staged",
    (one) => one.metadata.annotations?.["cdi.kubevirt.io/storage.import.requiresScratch"] === "false",
  );
  expect(claim.metadata.annotations?.["cdi.kubevirt.io/storage.pod.phase"]).not.toBe("Succeeded");
  await world.setPod("importer-staged", "Running", isRunning);
  await world.setPod("importer-staged", "Succeeded", terminated(0, JSON.stringify({ message: "Import Complete" })));
  await world.until(kinds.dataVolume, "staged", phaseIs("Succeeded"));
  await world.untilGone(kinds.claim, "staged-scratch");
});

test("deleting a DataVolume in the middle of its import leaves nothing", async () => {
  const world = await play();
  await world.client.create(fresh("gone"), kinds.dataVolume);
  await toRunning(world, "gone");
  await world.client.delete({ kind: kinds.dataVolume, namespace: "default", name: "gone" });
  for (const [kind, name] of [
    [kinds.dataVolume, "gone"],
    [kinds.claim, "gone"],
    [kinds.pod, "importer-gone"],
  ] as const)
    await world.untilGone(kind, name);
});

test("a claim deleted under a live DataVolume is made and filled again", async () => {
  const world = await play();
  await world.client.create(fresh("again"), kinds.dataVolume);
  await toRunning(world, "again");
  await world.setPod("importer-again", "Succeeded", terminated(0, JSON.stringify({ message: "Import Complete" })));
  await world.until(kinds.dataVolume, "again", phaseIs("Succeeded"));
  await world.untilGone(kinds.pod, "importer-again");
  const first = await world.until<Claim>(kinds.claim, "again", () => true);
  await world.client.delete({ kind: kinds.claim, namespace: "default", name: "again" });
  await world.until<Claim>(kinds.claim, "again", (claim) => claim.metadata.uid !== first.metadata.uid);
  await world.bind("again");
  await world.until<Pod>(kinds.pod, "importer-again", () => true);
  await world.until(kinds.dataVolume, "again", phaseIs("ImportScheduled"));
});

test("where the served schema drops our additions, nothing is written for ever and the code still stands", async () => {
  const world = await play({ withoutAdditions: true });
  await world.client.create(fresh("pruned"), kinds.dataVolume);
  await toRunning(world, "pruned");
  await world.setPod("importer-pruned", "Running", terminated(77, "expected status code 200, got 404"));
  const stalled = await world.until<DataVolume>(
    kinds.dataVolume,
    "pruned",
    (one) => one.status?.conditions?.some((c) => c.type === "Stalled" && c.reason === "SourceNotFound") ?? false,
  );
  expect(stalled.status?.transfer).toBeUndefined();
  await world.setPod("importer-pruned", "Running", isRunning, { restarts: 1 });
  await world.until<DataVolume>(kinds.dataVolume, "pruned", (one) => one.status?.restartCount === 1);
  const before = world.controllers.counts.get("patch datavolumes") ?? 0;
  // Another object's whole import passes by: a controller that writes for ever would have written meanwhile.
  await world.client.create(fresh("other"), kinds.dataVolume);
  await toRunning(world, "other");
  const own = world.history("pruned").length;
  await world.setPod("importer-other", "Succeeded", terminated(0, JSON.stringify({ message: "Import Complete" })));
  await world.until(kinds.dataVolume, "other", phaseIs("Succeeded"));
  expect(world.history("pruned")).toHaveLength(own);
  expect((world.controllers.counts.get("patch datavolumes") ?? 0) - before).toBeLessThan(30); // what met a newer version is counted too
});

test("a bare claim with import annotations is filled without a DataVolume", async () => {
  const world = await play();
  const annotations = {
    "cdi.kubevirt.io/storage.import.endpoint": "http://images.test/a.img",
    "cdi.kubevirt.io/storage.import.source": "http",
  };
  const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
  await world.client.create(
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "bare", namespace: "default", annotations },
      spec,
    },
    kinds.claim,
  );
  const pod = await world.until<Pod>(kinds.pod, "importer-bare", () => true);
  const claim = await world.until<Claim>(kinds.claim, "bare", () => true);
  expect(pod.spec.containers[0]?.env).toContainEqual({ name: "OWNER_UID", value: claim.metadata.uid });
  await world.setPod("importer-bare", "Succeeded", terminated(0, JSON.stringify({ message: "Import Complete" })));
  await world.until<Claim>(
    kinds.claim,
    "bare",
    (one) => one.metadata.annotations?.["cdi.kubevirt.io/storage.pod.phase"] === "Succeeded",
  );
});
