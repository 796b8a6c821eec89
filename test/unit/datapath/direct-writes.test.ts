// Writes past the page cache: what may go that way, that it goes in large stretches, and that nothing of it is lost.
import { beforeEach, describe, expect, test } from "vitest";
import { DirectWrites } from "../../../src/datapath/sinks/direct-writes.ts";
import { MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import { giveBack, handOn, largeBuffer } from "../../../src/lib/buffers.ts";
import { SyscallError, syscalls } from "../../../src/lib/syscalls.ts";

const { pageBytes } = syscalls();
const KIB = 1024;

interface Written {
  offset: number;
  bytes: number;
}

/** What reached the disk, directly and otherwise. */
const direct: Written[] = [];
const otherwise: (Written & { first: number })[] = [];
beforeEach(() => {
  direct.length = 0;
  otherwise.length = 0;
});

function writesThrough(answer: (asked: Written) => Promise<number> = ({ bytes }) => Promise.resolve(bytes)) {
  return new DirectWrites(
    {
      async writev(pieces, position) {
        const asked = { offset: position ?? -1, bytes: pieces.reduce((sum, { byteLength }) => sum + byteLength, 0) };
        direct.push(asked);
        return { bytesWritten: await answer(asked), buffers: pieces };
      },
      close: () => Promise.resolve(),
    },
    {
      calls: syscalls(),
      otherwise: (offset, bytes) => {
        otherwise.push({ offset, bytes: bytes.length, first: bytes[0] ?? -1 });
        return Promise.resolve();
      },
    },
  );
}

/** A MiB that goes round, every byte of it `value`. */
const part = (value = 1): Buffer => handOn(largeBuffer().fill(value), MIB);

describe("what may go past the page cache", () => {
  test.for<{ what: string; offset: number; from: number; to: number; middle: [number, number] | undefined }>([
    { what: "whole pages", offset: 0, from: 0, to: MIB, middle: [0, MIB] },
    { what: "whole pages far behind", offset: 2 ** 40, from: 0, to: MIB, middle: [0, MIB] },
    {
      what: "all but the ends, where memory and target are in step",
      offset: 1000,
      from: 1000,
      to: MIB - 10,
      middle: [pageBytes - 1000, MIB - pageBytes - 1000],
    },
    { what: "nothing out of step", offset: 512, from: 0, to: MIB, middle: undefined },
    { what: "nothing short", offset: 0, from: 0, to: 256 * KIB, middle: undefined },
  ])("$what", ({ offset, from, to, middle }) => {
    const bytes = part().subarray(from, to);
    const found = writesThrough().middleOf(offset, bytes);
    expect(found).toEqual(middle && { start: middle[0], end: middle[1] });
  });

  test("what goes on with a stretch may be short, but not tiny", async () => {
    const writes = writesThrough();
    expect(await writes.take(0, part())).toBe(true);
    expect(writes.middleOf(MIB, part().subarray(0, 64 * KIB))).toEqual({ start: 0, end: 64 * KIB });
    expect(writes.middleOf(MIB, part().subarray(0, 32 * KIB))).toBeUndefined();
    expect(writes.middleOf(2 * MIB, part().subarray(0, 64 * KIB))).toBeUndefined();
  });

  test("memory that does not go round cannot be held, and is not taken", async () => {
    const writes = writesThrough();
    expect(await writes.take(0, largeBuffer())).toBe(false);
    await writes.drain();
    expect(direct).toEqual([]);
  });
});

describe("what was taken", () => {
  test("goes in stretches of 4 MiB, and at a gap before its time", async () => {
    const writes = writesThrough();
    for (const at of [0, 1, 2, 3, 4, 9]) await writes.take(at * MIB, part());
    await writes.drain();
    expect(direct).toEqual([
      { offset: 0, bytes: 4 * MIB },
      { offset: 4 * MIB, bytes: MIB },
      { offset: 9 * MIB, bytes: MIB },
    ]);
    expect(otherwise).toEqual([]);
  });

  test("keeps its memory until it is on the disk, though its reader gave it back", async () => {
    let land = (): void => undefined;
    const landed = new Promise<void>((resolve) => (land = resolve));
    const writes = writesThrough(async ({ bytes }) => {
      await landed;
      return bytes;
    });
    const bytes = part();
    await writes.take(0, bytes);
    giveBack(bytes);
    const drained = writes.drain();
    const meanwhile = largeBuffer();
    expect(meanwhile.buffer).not.toBe(bytes.buffer);
    land();
    await drained;
    expect(largeBuffer().buffer).toBe(bytes.buffer);
  });

  test("waits where two stretches are under way already", async () => {
    const landings: (() => void)[] = [];
    const writes = writesThrough(({ bytes }) => new Promise((resolve) => landings.push(() => resolve(bytes))));
    for (let at = 0; at < 4; at += 1) await writes.take(at * MIB, part());
    const second = (async () => {
      for (let at = 4; at < 8; at += 1) await writes.take(at * MIB, part());
      return "taken";
    })();
    while (landings.length < 2) await new Promise(setImmediate);
    expect(await Promise.race([second, new Promise((resolve) => setImmediate(resolve, "waits"))])).toBe("waits");
    landings[0]?.();
    expect(await second).toBe("taken");
    landings[1]?.();
    await writes.drain();
    expect(direct.map(({ offset }) => offset)).toEqual([0, 4 * MIB]);
  });

  test("is written otherwise where the file system refuses, and nothing more is taken", async () => {
    const writes = writesThrough(() => Promise.reject(new SyscallError("EINVAL", "pwritev")));
    await writes.take(0, part(1));
    await writes.take(MIB, part(2));
    await writes.drain();
    expect(otherwise).toEqual([
      { offset: 0, bytes: MIB, first: 1 },
      { offset: MIB, bytes: MIB, first: 2 },
    ]);
    expect(writes.middleOf(2 * MIB, part())).toBeUndefined();
    expect(direct).toHaveLength(1);
  });

  test("is written otherwise as far as the kernel left it", async () => {
    const writes = writesThrough(() => Promise.resolve(MIB + 512));
    for (const at of [0, 1, 2]) await writes.take(at * MIB, part(at));
    await writes.drain();
    expect(otherwise).toEqual([
      { offset: MIB + 512, bytes: MIB - 512, first: 1 },
      { offset: 2 * MIB, bytes: MIB, first: 2 },
    ]);
  });

  test.for(["ENOSPC", "EIO"])(
    "a write that fails with %s is told by the next call and by drain, not by close",
    async (code) => {
      const writes = writesThrough(() => Promise.reject(new SyscallError(code, "pwritev")));
      for (const at of [0, 1, 2, 3]) await writes.take(at * MIB, part());
      await expect(writes.drain()).rejects.toMatchObject({ code });
      await expect(writes.take(8 * MIB, part())).rejects.toMatchObject({ code });
      expect(otherwise).toEqual([]);
      await writes.close();
    },
  );
});
