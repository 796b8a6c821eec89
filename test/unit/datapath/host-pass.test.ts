// The pass over an image's clusters: cut at any low-water offset it told, and gone on with there, it makes the same disk.
import { setImmediate as turn } from "node:timers/promises";
import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { entryKinds } from "../../../src/datapath/qcow2/entries.ts";
import { EntryHeap } from "../../../src/datapath/qcow2/entry-heap.ts";
import { HostPass } from "../../../src/datapath/qcow2/host-pass.ts";
import { readHeader } from "../../../src/datapath/qcow2/header.ts";
import { HostWindow } from "../../../src/datapath/qcow2/host-window.ts";
import { PlacedClusters } from "../../../src/datapath/qcow2/placed-clusters.ts";
import { planRanged } from "../../../src/datapath/qcow2/ranged-plan.ts";
import { borrowedInput, slowPlace } from "../../support/borrowed-input.ts";
import { randomQcow2 } from "../../support/random-qcow2.ts";

const pieceBytes = 150_000;
const { signal } = new AbortController();

/** @param most entries at once: fewer than there are make the pass go by windows */
async function pass(image: Buffer, disk: Buffer, startAt: number, onLowWater?: (at: number) => void, most = 1 << 20) {
  const header = readHeader(image);
  const plan = await planRanged(
    {
      header,
      fileBytes: image.length,
      signal,
      readAt: (offset, into) => Promise.resolve(void image.copy(into, 0, offset)),
    },
    most,
  );
  if (!plan) throw new Error("no plan");
  const onePass = new HostPass({
    header,
    input: borrowedInput(image, startAt, pieceBytes),
    plan: plan.heap,
    startAt,
    ...(onLowWater ? { onLowWater } : {}),
    signal,
    place: slowPlace(disk),
  });
  for (let window = 0; window < plan.windows; window += 1) {
    await plan.load(window);
    await onePass.run();
  }
  return plan.windows;
}

const seeds = Array.from({ length: 10 }, (_, index) => 300 + index);

test.for(seeds)("an image goes on from where it was cut (seed %i)", async (seed) => {
  const { image, virtualBytes } = randomQcow2(seed);
  const whole = Buffer.alloc(virtualBytes);
  const cuts: { at: number; disk: Buffer }[] = [];
  await pass(image, whole, 0, (at) => cuts.push({ at, disk: Buffer.from(whole) }));
  const offsets = cuts.map(({ at }) => at);
  expect(offsets).toEqual(offsets.toSorted((one, other) => one - other));
  for (const { at, disk } of cuts) {
    await pass(image, disk, at);
    expect(disk.equals(whole), `from ${at} on`).toBe(true);
  }
});

test.for(seeds)("an image of more clusters than are planned at once goes by windows (seed %i)", async (seed) => {
  const { image, virtualBytes } = randomQcow2(seed);
  const [whole, byWindows] = [Buffer.alloc(virtualBytes), Buffer.alloc(virtualBytes)];
  await pass(image, whole, 0);
  const lowWater: number[] = [];
  // As few as suffice for the fullest place in the file.
  let windows = 0;
  for (let most = 16; windows === 0; most *= 2) {
    windows = await pass(image, byWindows, 0, (at) => lowWater.push(at), most).catch((cause: Error) => {
      if (cause.message === "no plan") return 0;
      throw cause;
    });
  }
  expect(byWindows.equals(whole)).toBe(true);
  expect(lowWater).toEqual(lowWater.toSorted((one, other) => one - other));
});

test.each(["input", "target"])(
  "a %s that fails while something lands ends the pass with its own error",
  async (which) => {
    const { image } = randomQcow2(seeds[0] ?? 0);
    const header = {
      ...readHeader(image),
      compression: "zlib" as const,
      clusterBytes: 65_536,
      virtualSizeBytes: 2 ** 30,
    };
    const chunk = Buffer.alloc(3 * 1024 * 1024);
    const packed = deflateRawSync(Buffer.alloc(header.clusterBytes, "text"), { windowBits: 12 });
    packed.copy(chunk);
    const plan = new EntryHeap(header.clusterBytes);
    plan.push(entryKinds.compressed, 0, packed.length, 0);
    plan.push(entryKinds.standard, chunk.length, header.clusterBytes, header.clusterBytes);
    let calls = 0;
    const onePass = new HostPass({
      header,
      input: { next: () => ((calls += 1) === 1 ? Promise.resolve(chunk) : Promise.reject(new Error("the input"))) },
      plan,
      signal,
      async place() {
        for (let turns = 0; turns < 5; turns += 1) await turn();
        if (which === "target") throw new Error("the target");
      },
    });
    // A failure that nobody hears of would end the run of the tests.
    await expect(onePass.run()).rejects.toThrow(`the ${which}`);
  },
);

test("a window shows bytes across chunks, and none of a chunk that was taken back", () => {
  const bytes = Buffer.from(Array.from({ length: 100 }, (_, index) => index));
  const chunk = Buffer.alloc(10);
  const window = new HostWindow();
  for (let at = 0; at < 100; at += 10) {
    window.settle();
    bytes.copy(chunk, 0, at);
    window.append(chunk);
    const from = Math.max(0, at - 15);
    expect([...window.view(from, at + 7)]).toEqual([...bytes.subarray(from, at + 7)]);
    expect([...window.view(at + 5, at + 50)]).toEqual([...bytes.subarray(at + 5, at + 10)]);
    const pieces = [...window.pieces(from, at + 10)];
    expect(pieces[0]?.[0]).toBe(from);
    const joined = Buffer.concat(pieces.map(([, piece]) => piece));
    expect(joined.equals(bytes.subarray(from, at + 10))).toBe(true);
    window.dropBelow(at - 5);
    expect([window.base, window.end]).toEqual([Math.max(0, at - 5), at + 10]);
    chunk.fill(0xff);
    bytes.copy(chunk, 0, at);
  }
});

test("what was placed is found again by any of its bytes", () => {
  const placed = new PlacedClusters();
  for (const [host, length, guest, isCompressed] of [
    [100, 50, 1000, false],
    [150, 50, 1050, false],
    [200, 30, 5000, true],
    [230, 20, 1100, false],
    [300, 10, 0, false],
  ] as const) {
    expect(placed.add(host, length, guest, isCompressed)).toBe(true);
  }
  const run = { host: 100, length: 100, guest: 1000, isCompressed: false };
  expect([99, 100, 199, 229, 230, 250, 309, 310].map((host) => placed.at(host))).toEqual([
    undefined,
    run,
    run,
    { host: 200, length: 30, guest: 5000, isCompressed: true },
    { host: 230, length: 20, guest: 1100, isCompressed: false },
    undefined,
    { host: 300, length: 10, guest: 0, isCompressed: false },
    undefined,
  ]);
});
