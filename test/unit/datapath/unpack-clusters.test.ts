// Clusters that are unpacked together, with a thread beside: each as it would be alone, damaged ones told, and none lost when the
// thread ends.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { deflateRawSync, zstdCompressSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { unpackClusters, type ClusterToUnpack } from "../../../src/datapath/qcow2/unpack-clusters.ts";
import { startInflateThread } from "../../../src/lib/inflate-thread.ts";
import { makeInflater } from "../../../src/lib/syscalls-inflate.ts";

const clusterBytes = 64 * 1024;
const plain = Array.from({ length: 100 }, (_, index) =>
  Buffer.concat([randomBytes(200 * index), Buffer.alloc(clusterBytes - 200 * index, `cluster ${index}, `)]),
);
const packed = plain.map((one) => deflateRawSync(one, { windowBits: 12 }));
const damaged = [0, 37, 99];

function clusters(inputs: readonly Buffer[]): ClusterToUnpack[] {
  return inputs.map((input, index) => ({
    input: damaged.includes(index) ? input.subarray(0, -40) : Buffer.concat([input, Buffer.alloc(100, 0xff)]),
    into: Buffer.alloc(clusterBytes),
  }));
}

function expectUnpacked(some: readonly ClusterToUnpack[]): void {
  for (const [index, { usedBytes, into }] of some.entries()) {
    expect(usedBytes, `cluster ${index}`).toBe(damaged.includes(index) ? undefined : packed[index]?.length);
    if (!damaged.includes(index)) expect(into.equals(plain[index] ?? into), `cluster ${index}`).toBe(true);
  }
}

test.each([true, false])("many of them, shared %s", async (isShared) => {
  const header = { compression: "zlib", clusterBytes } as const;
  // The thread comes up meanwhile: some rounds are without it, and some with it.
  for (let round = 0; round < 12; round += 1) {
    const some = clusters(packed);
    await unpackClusters(header, some, isShared);
    expectUnpacked(some);
  }
});

test("zstd has no thread", async () => {
  const header = { compression: "zstd", clusterBytes } as const;
  const some = plain.map((one) => ({ input: zstdCompressSync(one), into: Buffer.alloc(clusterBytes) }));
  await unpackClusters(header, some, true);
  expect(some.every(({ into }, index) => into.equals(plain[index] ?? into))).toBe(true);
});

test("the thread answers in the order it was asked, and says of nothing that it was done once it has ended", async () => {
  const inflater = makeInflater(12);
  if (!inflater) throw new Error("there is no engine");
  const thread = startInflateThread(12, inflater);
  if (!thread) throw new Error("there is no thread");
  expect(thread.isReady).toBe(false);
  await expect(thread.inflate(clusters(packed))).rejects.toThrow("not there");
  await expect.poll(() => thread.isReady).toBe(true);
  const groups = [clusters(packed), clusters(packed)];
  const used = await Promise.all(groups.map((group) => thread.inflate(group)));
  for (const [index, group] of groups.entries()) {
    expectUnpacked(group.map((cluster, at) => ({ ...cluster, usedBytes: used[index]?.[at] })));
  }
  // More than it can have done by then.
  const asked = Array.from({ length: 40 }, () => thread.inflate(groups[0] ?? []));
  const last = expect(asked.at(-1)).rejects.toThrow("has ended");
  await Promise.all([thread.close(), last, Promise.allSettled(asked)]);
  expect(thread.isReady).toBe(false);
});

test.each([0, 1])("a thread that was asked %i times keeps no process", async (times) => {
  const here = (name: string): string => JSON.stringify(new URL(`../../../src/lib/${name}`, import.meta.url).href);
  const program = `
    import { makeInflater } from ${here("syscalls-inflate.ts")};
    import { startInflateThread } from ${here("inflate-thread.ts")};
    import { setTimeout as pause } from "node:timers/promises";
    const thread = startInflateThread(12, makeInflater(12));
    while (!thread.isReady) await pause(5);
    for (let time = 0; time < ${times}; time += 1) {
      await thread.inflate([{ input: Buffer.alloc(10), into: Buffer.alloc(10) }]);
    }
    console.log("done");`;
  const folder = await mkdtemp(join(tmpdir(), "cdi-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "program.mjs"), program);
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "program.mjs")], { timeout: 30_000 });
  expect(stdout).toBe("done\n");
});
