// The parts of the sinks that need no device: growth, zero runs, the map of written blocks, the writeback window, fault names.
import { describe, expect, test } from "vitest";
import { BlockMap } from "../../../src/datapath/sinks/block-map.ts";
import { availableOf, growthTargetOf, usableBytes } from "../../../src/datapath/sinks/growth.ts";
import { targetFault } from "../../../src/datapath/sinks/target-faults.ts";
import { WritebackWindow } from "../../../src/datapath/sinks/writeback-window.ts";
import { dataRuns, isZero, MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import { SyscallError, toolSyscalls } from "../../../src/lib/syscalls.ts";
import type { Syscalls } from "../../../src/lib/syscalls.ts";
import { numbersFrom } from "../../support/sparse-image.ts";

const GIB = 1024 * MIB;

describe("growth", () => {
  const rows: [string, { freeBytes: number; requestBytes?: number; overhead: number }, number, number][] = [
    [
      "the request is the bound, less its overhead",
      { freeBytes: 10 * GIB, requestBytes: GIB, overhead: 0.06 },
      GIB,
      966 * MIB,
    ],
    [
      "free space is the bound, less its overhead",
      { freeBytes: GIB, requestBytes: 2 * GIB, overhead: 0.06 },
      GIB,
      966 * MIB,
    ],
    ["without overhead the request is met", { freeBytes: 10 * GIB, requestBytes: GIB, overhead: 0 }, GIB, GIB],
    [
      "growth ends at a whole MiB, even of an odd request",
      { freeBytes: GIB, requestBytes: 10_000_000, overhead: 0 },
      10_000_000,
      9 * MIB,
    ],
    ["half of it is overhead", { freeBytes: GIB, requestBytes: 3 * MIB, overhead: 0.5 }, 3 * MIB, 2 * MIB],
    ["nobody asked: no growth", { freeBytes: GIB, overhead: 0.06 }, GIB, 0],
    ["a full volume", { freeBytes: 0, requestBytes: GIB, overhead: 0.06 }, 0, 0],
  ];
  for (const [name, room, available, growth] of rows) {
    test(name, () => {
      expect(availableOf(room)).toBe(available);
      expect(growthTargetOf(room)).toBe(growth);
    });
  }

  test("what a claim of the required size can use is what was asked", () => {
    for (const asked of [1, 7, 100, 1000, 4096]) {
      expect(usableBytes(Math.ceil(asked * MIB * 1.06), 0.06)).toBe(asked * MIB);
    }
  });
});

describe("zero runs", () => {
  const buffer = (length: number, ...nonZero: number[]): Buffer => {
    const bytes = Buffer.alloc(length);
    for (const at of nonZero) bytes[at] = 1;
    return bytes;
  };
  const rows: [string, Buffer, number, [number, number][]][] = [
    ["nothing but zeros", buffer(16_384), 0, []],
    ["the last byte of a block", buffer(16_384, 8191), 0, [[4096, 8192]]],
    ["neighbours become one run", buffer(16_384, 4096, 8192), 0, [[4096, 12_288]]],
    ["blocks are counted on the target", buffer(8192, 3584), 512, [[3584, 7680]]],
    ["an odd head and tail", buffer(5000, 0, 4999), 100, [[0, 5000]]],
    ["a byte in the middle", buffer(4096, 2000), 0, [[0, 4096]]],
  ];
  for (const [name, bytes, offset, wanted] of rows) {
    test(name, () => {
      expect(dataRuns(bytes, offset, () => false).map(({ start, end }) => [start, end])).toEqual(wanted);
    });
  }

  test("a zero block that was written before is written again", () => {
    expect(dataRuns(buffer(16_384), 4096, (block) => block === 2)).toEqual([{ start: 4096, end: 8192 }]);
  });

  test("a single byte anywhere in 3 MiB is seen", () => {
    for (const at of [0, 1, MIB - 1, MIB, 2 * MIB + 77, 3 * MIB - 1]) expect(isZero(buffer(3 * MIB, at))).toBe(false);
    expect(isZero(buffer(3 * MIB))).toBe(true);
    expect(isZero(buffer(10, 2, 7), 3, 4)).toBe(true);
  });
});

describe("the map of written blocks", () => {
  test("says the same as a plain list, over borders of its pieces", () => {
    const next = numbersFrom(3);
    const base = (1 << 18) - 500;
    const plain = Array.from({ length: 1000 }, () => false);
    const map = new BlockMap();
    for (let turn = 0; turn < 300; turn += 1) {
      const start = Math.floor(next() * 1000);
      const end = Math.min(1000, start + Math.floor(next() * 60));
      const written = next() < 0.6;
      map.mark(base + start, base + end, written);
      plain.fill(written, start, end);
      for (const mark of [true, false]) {
        const seen = Array.from({ length: 1000 }, () => !mark);
        let before = -1;
        for (const run of map.runs(base, base + 1000, mark)) {
          expect(run.start).toBeGreaterThan(before);
          before = run.end;
          seen.fill(mark, run.start - base, run.end - base);
        }
        expect(seen).toEqual(plain);
      }
    }
    expect(map.has(base - 1)).toBe(false);
  });

  test("an untouched PiB is one run, found at once", () => {
    const blocks = 2 ** 38;
    expect([...new BlockMap().runs(blocks - 2 ** 28, blocks, false)]).toEqual([
      { start: blocks - 2 ** 28, end: blocks },
    ]);
  });
});

describe("the writeback window", () => {
  test("never has 64 MiB under way, in order or scattered", async () => {
    for (const strideBytes of [MIB, 3 * MIB, 65_536]) {
      let written = 0;
      let started = 0;
      let safe = 0;
      let most = 0;
      const calls: Syscalls = {
        ...toolSyscalls(),
        startWriteback: async (_fd, _offset, length) => void (started += length),
        awaitWriteback: async (_fd, _offset, length) => void (safe += Math.min(length, written - safe)),
      };
      const window = new WritebackWindow(0, calls);
      for (let index = 0; index < 300; index += 1) {
        const length = Math.min(MIB, strideBytes);
        written += length;
        await window.note(index * strideBytes, length);
        most = Math.max(most, written - safe);
      }
      expect(started).toBeGreaterThan(0);
      expect(most).toBeLessThan(64 * MIB);
    }
  });
});

describe("fault names", () => {
  const rows: [string, string, string][] = [
    ["ENOSPC", "TargetFull", "no space left on device"],
    ["EDQUOT", "QuotaExceeded", "disk quota exceeded"],
    ["EROFS", "TargetReadOnly", "read-only"],
    ["EACCES", "TargetReadOnly", "permission denied"],
    ["EPERM", "TargetReadOnly", "not permitted"],
    ["EBUSY", "TargetInUse", "busy"],
    ["EIO", "TargetIo", "input/output error"],
  ];
  for (const [code, fault, text] of rows) {
    test(`${code} is ${fault}`, () => {
      const seen = targetFault(new SyscallError(code, "write"), "write /data/disk.img");
      expect(seen.code).toBe(fault);
      expect(seen.message).toMatch(/^unable to write to file: write \/data\/disk\.img: /);
      expect(seen.message).toContain(text);
    });
  }
});
