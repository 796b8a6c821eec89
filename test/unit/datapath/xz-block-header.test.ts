// What the header of an xz block says, from headers put together here.
import { expect, test } from "vitest";
import { dictionaryBytes, readSizes } from "../../../src/datapath/decoders/xz-block-header.ts";

const sealOf = [0, 0, 0, 0];
const header = (...bytes: number[]): Buffer => Buffer.from([3, ...bytes, ...sealOf]);
const MIB = 1024 * 1024;

test.each([
  {
    what: "both sizes",
    of: header(0xc0, 0x81, 0x01, 0x05, 0x21, 1, 22),
    sizes: { compressed: 129, uncompressed: 5 },
    dictionary: 8 * MIB,
  },
  { what: "no size", of: header(0x00, 0x21, 1, 28), sizes: undefined, dictionary: 64 * MIB },
  { what: "one of two", of: header(0x40, 0x05, 0x21, 1, 23), sizes: undefined, dictionary: 12 * MIB },
  { what: "a block of nothing", of: header(0xc0, 0x00, 0x00, 0x21, 1, 0), sizes: undefined, dictionary: 4096 },
  { what: "the largest dictionary", of: header(0x00, 0x21, 1, 40), sizes: undefined, dictionary: 2 ** 32 - 1 },
  { what: "one that there is none of", of: header(0x00, 0x21, 1, 41), sizes: undefined, dictionary: Infinity },
  { what: "another filter before", of: header(0x01, 0x04, 0, 0x21, 1, 16), sizes: undefined, dictionary: MIB },
  { what: "another filter alone", of: header(0x00, 0x04, 0), sizes: undefined, dictionary: Infinity },
  { what: "a property that is not there", of: header(0x00, 0x21, 0x7f), sizes: undefined, dictionary: Infinity },
  {
    what: "numbers that do not end",
    of: header(0xc0, ...Array<number>(12).fill(0xff)),
    sizes: undefined,
    dictionary: Infinity,
  },
])("$what", ({ of, sizes, dictionary }) => {
  expect(readSizes(of)).toEqual(sizes);
  expect(dictionaryBytes(of)).toBe(dictionary);
});
