// Raw deflate by the engines that are used again: as much as is wanted, whatever comes behind it, told by buffers and by addresses;
// the same with libdeflate and without.
import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { makeInflater } from "../../../src/lib/syscalls-inflate.ts";
import { makeWholeInflate } from "../../../src/lib/syscalls-libdeflate.ts";

const plain = Buffer.concat([randomBytes(30_000), Buffer.alloc(35_536, "text and more text, ")]);
const packed = deflateRawSync(plain, { windowBits: 12 });

const cases = [
  { what: "a whole stream", input: packed, wanted: plain.length, used: packed.length },
  {
    what: "junk behind it",
    input: Buffer.concat([packed, randomBytes(300)]),
    wanted: plain.length,
    used: packed.length,
  },
  { what: "a stream that ends early", input: packed.subarray(0, -100), wanted: plain.length, used: undefined },
  { what: "less in it than is wanted", input: packed, wanted: plain.length + 1, used: undefined },
  { what: "damage", input: Buffer.alloc(500, 0xff), wanted: plain.length, used: undefined },
  { what: "nothing", input: Buffer.alloc(0), wanted: plain.length, used: undefined },
];

const whole = makeWholeInflate();
const engines = [
  { engine: "libdeflate, then zlib", whole, isMissing: whole === undefined },
  { engine: "zlib alone", whole: () => undefined, isMissing: false },
];

describe.each(engines)("$engine", ({ whole, isMissing }) => {
  test.skipIf(isMissing).each(cases)("$what", ({ input, wanted, used }) => {
    const inflater = makeInflater(12, whole);
    const here = Buffer.alloc(wanted);
    const there = Buffer.alloc(wanted);
    expect(inflater?.inflate(input, here)).toBe(used);
    const [from = 0, to = 0] = [input, there].map((bytes) => inflater?.addressOf(bytes));
    expect(inflater?.inflateAt(from, input.length, to, there.length)).toBe(used);
    if (used !== undefined) expect([here.equals(plain), there.equals(plain)]).toEqual([true, true]);
    // And what was before leaves no trace.
    expect(inflater?.inflate(packed, Buffer.alloc(plain.length))).toBe(packed.length);
  });

  test.skipIf(isMissing)("more in it than is wanted: the beginning, and what comes behind does not matter", () => {
    const into = Buffer.alloc(1000);
    expect(makeInflater(12, whole)?.inflate(packed, into)).toBeGreaterThan(0);
    expect(into.equals(plain.subarray(0, 1000))).toBe(true);
  });
});
