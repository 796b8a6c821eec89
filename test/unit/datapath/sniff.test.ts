// What the head of the bytes says they are.
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { sniffBytes, sniffCompression, sniffDisk, sniffRaw } from "../../../src/datapath/sniff.ts";
import { seededBytes } from "../../support/images.ts";

const at = (offset: number, mark: string | number[]): Buffer => {
  const head = Buffer.alloc(sniffBytes);
  Buffer.from(typeof mark === "string" ? [...Buffer.from(mark, "latin1")] : mark).copy(head, offset);
  return head;
};
const skippable = (bytes: number): Buffer => {
  const frame = Buffer.alloc(8 + bytes, 0x61);
  frame.writeUInt32LE(0x184d2a53, 0);
  frame.writeUInt32LE(bytes, 4);
  return frame;
};
const zst = zstdCompressSync(Buffer.alloc(4096, 1));

describe("compression", () => {
  test.each([
    { when: "gz", head: gzipSync(Buffer.alloc(512)), is: "gz" },
    { when: "xz", head: at(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), is: "xz" },
    { when: "zst", head: zst, is: "zst" },
    { when: "zst behind a frame without data", head: Buffer.concat([skippable(5), zst]), is: "zst" },
    {
      when: "zst behind three such frames",
      head: Buffer.concat([skippable(5), skippable(0), skippable(9), zst]),
      is: "zst",
    },
    { when: "such a frame before gz", head: Buffer.concat([skippable(5), gzipSync("a")]), is: undefined },
    {
      when: "such a frame before lz4",
      head: Buffer.concat([skippable(5), at(0, [4, 0x22, 0x4d, 0x18])]),
      is: undefined,
    },
    { when: "such a frame that is longer than the head", head: skippable(100).subarray(0, 50), is: undefined },
    { when: "xz's mark without its last byte", head: at(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 1]), is: undefined },
    { when: "a mark one byte in", head: at(1, [0x1f, 0x8b]), is: undefined },
    { when: "bzip2", head: at(0, "BZh9"), is: undefined },
    { when: "a head cut inside the mark", head: Buffer.from([0x28, 0xb5, 0x2f]), is: undefined },
    { when: "nothing", head: Buffer.alloc(0), is: undefined },
    { when: "zeros", head: Buffer.alloc(512), is: undefined },
  ])("$when", ({ head, is }) => {
    expect(sniffCompression(head)).toBe(is);
  });
});

describe("disk format", () => {
  test.each([
    { when: "qcow2", head: at(0, [0x51, 0x46, 0x49, 0xfb]), is: "qcow2" },
    { when: "vmdk", head: at(0, "KDMV"), is: "vmdk" },
    { when: "vhd", head: at(0, "conectix"), is: "vhd" },
    { when: "vhdx", head: at(0, "vhdxfile"), is: "vhdx" },
    { when: "vdi, whose mark lies at 64", head: at(0x40, [0x7f, 0x10, 0xda, 0xbe]), is: "vdi" },
    { when: "qed", head: at(0, "QED\0"), is: "qed" },
    { when: "vdi's mark at 0", head: at(0, [0x7f, 0x10, 0xda, 0xbe]), is: undefined },
    { when: "a bare VMDK descriptor", head: at(0, "# Disk DescriptorFile"), is: undefined },
    { when: "noise", head: seededBytes(sniffBytes, "noise"), is: undefined },
  ])("$when", ({ head, is }) => {
    expect(sniffDisk(head)).toBe(is);
  });
});

test.each([
  { when: "an ISO", head: at(0x8001, "CD001"), is: "iso" },
  { when: "a tar", head: at(0x101, "ustar\u000000"), is: "tar" },
  { when: "zeros", head: Buffer.alloc(sniffBytes), is: "raw" },
  { when: "a head too short for ISO's mark", head: at(0x8001, "CD001").subarray(0, 0x8003), is: "raw" },
])("raw: $when", ({ head, is }) => {
  expect(sniffRaw(head)).toBe(is);
});

test("a head that is a view into a larger buffer is read from its own beginning", () => {
  const large = Buffer.concat([Buffer.alloc(77), skippable(3), zst]);
  expect(sniffCompression(large.subarray(77))).toBe("zst");
});
