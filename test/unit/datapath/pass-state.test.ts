// The pass through a stream: cut anywhere, and gone on with by another that knows only what was written down, it makes the same
// disk; what was written down by a stranger is none.
import { describe, expect, test } from "vitest";
import { EntryHeap } from "../../../src/datapath/qcow2/entry-heap.ts";
import { neededL1Entries, readHeader } from "../../../src/datapath/qcow2/header.ts";
import { HostPass } from "../../../src/datapath/qcow2/host-pass.ts";
import { KeptBytes } from "../../../src/datapath/qcow2/kept-bytes.ts";
import { LateBytes } from "../../../src/datapath/qcow2/late-bytes.ts";
import { PassDeclined } from "../../../src/datapath/qcow2/pass-declined.ts";
import { readPassState, writePassState, type PassState } from "../../../src/datapath/qcow2/pass-state.ts";
import { planStream } from "../../../src/datapath/qcow2/ranged-plan.ts";
import { borrowedInput, slowPlace } from "../../support/borrowed-input.ts";
import { randomQcow2 } from "../../support/random-qcow2.ts";

const { signal } = new AbortController();
const headBytes = 64 * 1024;

interface Cut {
  readonly at: number;
  readonly state: Buffer | undefined;
  readonly disk: Buffer;
}

/** @returns false when the image is one for another road */
async function pass(
  image: Buffer,
  disk: Buffer,
  { pieceBytes, cut, onCut }: { pieceBytes: number; cut?: Cut; onCut?: (cut: Cut) => void },
): Promise<boolean> {
  const from = cut?.state && readPassState(cut.state, image.length);
  if (cut && !from) throw new Error("the state was not read again");
  const header = readHeader(from?.head ?? image.subarray(0, headBytes));
  const kept = new KeptBytes({ scratch: undefined, onScratch: () => undefined });
  const late = new LateBytes({
    kept,
    readPlaced: (guest, into) => Promise.resolve(void disk.copy(into, 0, guest)),
  });
  const plan = new EntryHeap(header.clusterBytes);
  try {
    if (from) {
      for (const { kind, host, length, guest } of from.plan) plan.push(kind, host, length, guest);
      await late.restore(from);
    } else planStream(plan, header.l1Offset, neededL1Entries(header));
    const onePass: HostPass = new HostPass({
      header,
      plan,
      late,
      input: borrowedInput(image, cut?.at ?? 0, pieceBytes),
      ...(cut ? { startAt: cut.at } : {}),
      ...(from ? { from } : {}),
      onLowWater(lowWater) {
        // As the keeper of a checkpoint does: what it is told now is what it may save.
        const state = onePass.state();
        if (!state) throw new Error("the pass does not know its state");
        const bytes = writePassState({ ...state, head: image.subarray(0, headBytes) });
        onCut?.({ at: lowWater, state: bytes, disk: Buffer.from(disk) });
      },
      signal,
      place: slowPlace(disk),
    });
    await onePass.run();
    return true;
  } catch (cause) {
    if (cause instanceof PassDeclined) return false;
    throw cause;
  } finally {
    await kept.close();
  }
}

const seeds = Array.from({ length: 10 }, (_, index) => 500 + index);

test.for(seeds)("a stream goes on from wherever it was cut (seed %i)", async (seed) => {
  const { image, virtualBytes } = randomQcow2(seed);
  const whole = Buffer.alloc(virtualBytes);
  const cuts: Cut[] = [];
  const pieceBytes = 2 * Math.ceil(image.length / 24);
  expect(await pass(image, whole, { pieceBytes, onCut: (cut) => cuts.push(cut) })).toBe(true);
  expect(cuts.length).toBeGreaterThan(0);
  const offsets = cuts.map(({ at }) => at);
  expect(offsets).toEqual(offsets.toSorted((one, other) => one - other));
  for (const cut of cuts) {
    expect(await pass(image, cut.disk, { pieceBytes: pieceBytes / 2 + 1, cut }), `from ${cut.at} on`).toBe(true);
    expect(cut.disk.equals(whole), `from ${cut.at} on`).toBe(true);
  }
});

describe("what was written down", () => {
  const { image } = randomQcow2(seeds[0] ?? 0);
  const head = image.subarray(0, headBytes);
  const none: PassState = { head, coveredTo: 0, plan: [], deferred: [], placed: [], kept: [] };
  const written = (some: Partial<PassState>): Buffer => writePassState({ ...none, ...some }) ?? Buffer.alloc(0);
  const read = (bytes: Buffer): PassState | undefined => readPassState(bytes, image.length);

  test("comes back as it was", () => {
    const kept = [
      { host: 10, bytes: Buffer.from("ab") },
      { host: 12, bytes: Buffer.from("c") },
    ];
    const placed = [{ host: 5, length: 5, guest: 0, isCompressed: false }];
    const plan = [{ kind: 0, host: 600, length: 512, guest: 512 } as const];
    expect(read(written({ coveredTo: 9, kept, placed, plan }))).toEqual({ ...none, coveredTo: 9, kept, placed, plan });
  });

  test.each<[string, () => Buffer]>([
    ["nothing", () => Buffer.alloc(0)],
    ["random bytes", () => Buffer.alloc(5000, 0xa5)],
    ["a cut one", () => written({}).subarray(0, -1)],
    ["one with more behind it", () => Buffer.concat([written({}), Buffer.alloc(1)])],
    ["another image's head", () => written({ head: Buffer.alloc(headBytes) })],
    ["a count beyond its bytes", () => Buffer.from(new Float64Array([0, 0, 1e9, 0, 0, 0]).buffer)],
    ["a negative place", () => written({ plan: [{ kind: 0, host: -1, length: 512, guest: 0 }] })],
    ["a broken number", () => written({ coveredTo: 0.5 })],
    ["a place past the disk", () => written({ plan: [{ kind: 0, host: 0, length: 512, guest: 2 ** 50 }] })],
    ["a table of another size", () => written({ plan: [{ kind: 3, host: 0, length: 24, guest: 0 }] })],
    ["an L1 table past its end", () => written({ plan: [{ kind: 2, host: 0, length: 8, guest: 2 ** 40 }] })],
    ["a length of nothing", () => written({ plan: [{ kind: 1, host: 0, length: 0, guest: 0 }] })],
    [
      "placed bytes past the disk",
      () => written({ placed: [{ host: 0, length: 512, guest: 2 ** 50, isCompressed: false }] }),
    ],
    [
      "kept bytes in disorder",
      () =>
        written({
          kept: [
            { host: 9, bytes: Buffer.from("ab") },
            { host: 10, bytes: Buffer.from("c") },
          ],
        }),
    ],
  ])("%s is none", (_, bytes) => expect(read(bytes())).toBeUndefined());

  test("more than is worth its writing is not written", () => {
    const kept = [{ host: 0, bytes: Buffer.alloc(25 * 1024 * 1024) }];
    expect(writePassState({ ...none, kept })).toBeUndefined();
  });
});
