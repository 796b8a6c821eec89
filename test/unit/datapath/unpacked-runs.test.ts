// Where unpacked clusters lie until they are written: which of them go together, and when their memory is free again.
import { expect, test } from "vitest";
import { UnpackedRuns, type Run } from "../../../src/datapath/qcow2/unpacked-runs.ts";
import { giveBack, largeBuffer, largeBytes } from "../../../src/lib/buffers.ts";

const clusterBytes = 64 * 1024;
const perBuffer = largeBytes / clusterBytes;

/** Each cluster is filled with its index, so that what a run holds tells which clusters it is made of. */
function fill(runs: UnpackedRuns, guests: readonly number[], wanted = clusterBytes): void {
  for (const [index, guest] of guests.entries()) runs.room(guest * clusterBytes, wanted).fill(index + 1);
}

const told = (runs: readonly Run[]): [number, number[]][] =>
  runs.map(({ guest, bytes }) => [
    guest / clusterBytes,
    Array.from({ length: Math.ceil(bytes.length / clusterBytes) }, (_, index) => bytes[index * clusterBytes] ?? 0),
  ]);

test.each<{ situation: string; guests: number[]; runs: [number, number[]][] }>([
  { situation: "none", guests: [], runs: [] },
  { situation: "neighbours", guests: [4, 5, 6], runs: [[4, [1, 2, 3]]] },
  {
    situation: "scattered",
    guests: [9, 2, 7],
    runs: [
      [9, [1]],
      [2, [2]],
      [7, [3]],
    ],
  },
  {
    situation: "backwards",
    guests: [3, 2],
    runs: [
      [3, [1]],
      [2, [2]],
    ],
  },
  {
    situation: "neighbours between others",
    guests: [9, 2, 3, 4, 0],
    runs: [
      [9, [1]],
      [2, [2, 3, 4]],
      [0, [5]],
    ],
  },
])("$situation", ({ guests, runs }) => {
  const unpacked = new UnpackedRuns(clusterBytes);
  fill(unpacked, guests);
  expect(told(unpacked.take())).toEqual(runs);
  expect(unpacked.take()).toEqual([]);
});

test("a cluster that the disk's end cuts has room for all of it, and no neighbour behind it in the buffer", () => {
  const unpacked = new UnpackedRuns(clusterBytes);
  const whole = unpacked.room(7 * clusterBytes, 512);
  expect(whole.length).toBe(clusterBytes);
  const next = unpacked.room(0, clusterBytes).fill(2);
  whole.fill(1);
  expect(next.every((byte) => byte === 2)).toBe(true);
  expect(unpacked.take().map(({ guest, bytes }) => [guest, bytes.length])).toEqual([
    [7 * clusterBytes, 512],
    [0, clusterBytes],
  ]);
});

test("as many as there is room for; a cluster larger than a buffer is alone", () => {
  const unpacked = new UnpackedRuns(clusterBytes);
  let count = 0;
  for (; unpacked.hasRoom; count += 1) unpacked.room(2 * count * clusterBytes, clusterBytes);
  expect(count).toBe(perBuffer);
  expect(unpacked.take()).toHaveLength(perBuffer);
  expect(unpacked.hasRoom).toBe(true);

  const large = new UnpackedRuns(2 * largeBytes);
  expect(large.room(0, 2 * largeBytes)).toHaveLength(2 * largeBytes);
  expect(large.hasRoom).toBe(false);
  expect(large.take()).toHaveLength(1);
});

test("the memory goes round when the last of its runs has landed, and not before", () => {
  const unpacked = new UnpackedRuns(clusterBytes);
  fill(unpacked, [9, 2, 7]);
  const runs = unpacked.take();
  const memory = runs[0]?.memory.buffer;
  expect(runs.every((run) => run.memory.buffer === memory && run.bytes.buffer === memory)).toBe(true);
  const last = runs.pop();
  for (const run of runs) giveBack(run.memory);
  const meanwhile = largeBuffer();
  expect(meanwhile.buffer).not.toBe(memory);
  if (last) giveBack(last.memory);
  expect(largeBuffer().buffer).toBe(memory);
});
