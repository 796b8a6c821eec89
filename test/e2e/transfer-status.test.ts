// What a user sees while an import runs: progress that never falls and is 100 % with Ready only, and status.transfer with stage,
// bytes, rate, remaining time, attempt and fault, through a cut, a restart and two stages.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { conditionOf, dataVolumeOf, history, isReady, phaseIs, startCluster } from "../support/cluster.ts";
import { makeFormat } from "../support/disk-formats.ts";
import { startHttpServer, type HttpFaults } from "../support/http-server.ts";

const mib = 1024 * 1024;
const release: (() => Promise<void>)[] = [];
let cluster: Embedded;
let dense: Buffer;

beforeAll(async () => {
  cluster = await startCluster((act) => release.push(act));
  dense = Buffer.alloc(30 * mib, "every byte of it counts ");
}, 200_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

async function statesOf(name: string, path: string, body: Buffer, faults: HttpFaults): Promise<DataVolume[]> {
  const server = await startHttpServer({ files: { [path]: body }, faults });
  await cluster.client.create(dataVolumeOf({ name, url: server.url(path), size: "64Mi" }), kinds.dataVolume);
  const isOver = (dv: DataVolume): boolean => phaseIs("Failed")(dv) || isReady(dv);
  return await history<DataVolume>(cluster, kinds.dataVolume, name, isOver, 200_000);
}

/** Percents in the order they were told; "N/A" left out. */
const percentsOf = (states: DataVolume[]): number[] =>
  states.flatMap(({ status }) => (status?.progress?.endsWith("%") ? [Number.parseFloat(status.progress)] : []));

function expectHonest(states: DataVolume[]): void {
  const percents = percentsOf(states);
  expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  for (const one of states) {
    const isDone = one.status?.progress?.startsWith("100") ?? false;
    expect(isDone, one.status?.progress).toBe(one.status?.phase === "Succeeded");
    if (isDone) expect(conditionOf(one, "Ready")?.status).toBe("True");
    const { bytesDone = 0, bytesTotal = Infinity, stageIndex = 1, stageCount = 1 } = one.status?.transfer ?? {};
    expect(bytesDone).toBeLessThanOrEqual(bytesTotal);
    expect(stageIndex).toBeGreaterThanOrEqual(1);
    expect(stageIndex).toBeLessThanOrEqual(stageCount);
  }
  expect(states.at(-1)?.status?.progress).toBe("100.0%");
}

test("one stage, cut in the middle", { timeout: 240_000 }, async () => {
  const faults = { bytesPerSecond: 5 * mib };
  const server = await startHttpServer({ files: { "/a.img": dense }, faults });
  server.faultsInTurn.push({ ...faults, cutAfterBytes: 15 * mib });
  await cluster.client.create(dataVolumeOf({ name: "cut", url: server.url("/a.img"), size: "64Mi" }), kinds.dataVolume);
  const states = await history<DataVolume>(cluster, kinds.dataVolume, "cut", isReady, 200_000);
  expectHonest(states);
  const moving = states.map(({ status }) => status?.transfer).filter((one) => one?.stage === "transferring");
  expect(moving).toContainEqual(expect.objectContaining({ stageIndex: 1, stageCount: 1, bytesTotal: dense.length }));
  expect(moving.some((one) => (one?.bytesPerSecond ?? 0) > mib && (one?.etaSeconds ?? 0) > 0)).toBe(true);
  expect(moving.some((one) => (one?.resumedFromBytes ?? 0) > 0 && one?.attempt === 1)).toBe(true);
  expect(percentsOf(states).filter((one) => one < 100).length).toBeGreaterThan(0);
  expect(states.at(-1)?.status?.transfer).toMatchObject({ bytesDone: dense.length, bytesTotal: dense.length });
  expect(states.at(-1)?.status?.transfer).not.toHaveProperty("code");
});

test("two stages: fetched into scratch space, then converted", { timeout: 240_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "cdi-test-"));
  await writeFile(join(dir, "disk.img"), dense);
  const vdi = await readFile(await makeFormat("vdi dynamic", join(dir, "disk.img"), join(dir, "disk")));
  await rm(dir, { recursive: true });
  const states = await statesOf("staged", "/disk.vdi", vdi, { bytesPerSecond: 5 * mib });
  expectHonest(states);
  const seen = states.map(({ status }) => status?.transfer);
  expect(seen).toContainEqual(
    expect.objectContaining({ stage: "downloading", stageIndex: 1, stageCount: 2, bytesTotal: vdi.length }),
  );
  expect(states.at(-1)?.status?.transfer).toMatchObject({ stageIndex: 2, stageCount: 2 });
});
