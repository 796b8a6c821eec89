// Dynamic VHDs: who wrote them decides their size, and what they point to has to be there.
import { expect, test } from "vitest";
import { inspectors } from "../../../src/datapath/inspect/index.ts";
import { codeOfHead, MIB, walkMade } from "./made-image.ts";

const dynamicAt = 512;
const tableAt = 1536;
const blockAt = 2048;
const unused = 0xffff_ffff;

interface Made {
  creator?: string;
  currentBytes?: bigint;
  geometry?: [number, number, number];
  kind?: number;
  version?: number;
  dynamicOffset?: bigint;
  magic?: string;
  entries?: number;
  blockBytes?: number;
  tableOffset?: bigint;
  table?: number[];
  /** Bytes changed after the checksums. */
  flips?: number[];
  fileBytes?: number;
}
function vhd(made: Made): Buffer {
  const { table = [unused, blockAt / 512], blockBytes = MIB, geometry = [32, 8, 16], flips = [] } = made;
  const bytes = Buffer.alloc(blockAt + 512 + MIB);
  bytes.write("conectix", "latin1");
  bytes.writeUInt32BE(made.version ?? 0x10000, 12);
  bytes.writeBigUInt64BE(made.dynamicOffset ?? BigInt(dynamicAt), 16);
  bytes.write(made.creator ?? "win ", 28, "latin1");
  bytes.writeBigUInt64BE(made.currentBytes ?? BigInt(2 * MIB), 48);
  bytes.writeUInt16BE(geometry[0], 56);
  bytes.writeUInt8(geometry[1], 58);
  bytes.writeUInt8(geometry[2], 59);
  bytes.writeUInt32BE(made.kind ?? 3, 60);
  sign(bytes.subarray(0, 512), 64);
  bytes.write(made.magic ?? "cxsparse", dynamicAt, "latin1");
  bytes.writeBigUInt64BE(made.tableOffset ?? BigInt(tableAt), dynamicAt + 16);
  bytes.writeUInt32BE(made.entries ?? table.length, dynamicAt + 28);
  bytes.writeUInt32BE(blockBytes, dynamicAt + 32);
  sign(bytes.subarray(dynamicAt, dynamicAt + 1024), 36);
  for (const [index, sector] of table.entries()) bytes.writeUInt32BE(sector, tableAt + index * 4);
  for (const at of flips) bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes.subarray(0, made.fileBytes ?? bytes.length);
}
function sign(bytes: Buffer, at: number): void {
  bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, at);
}

const bySize = { force_size_calc: "current_size" };
const byGeometry = { force_size_calc: "chs" };
const fullGeometry = [65535, 16, 255] as [number, number, number];
test.each<{ when: string; made: Made; gives: object }>([
  { when: "Hyper-V's", made: {}, gives: { virtualSizeBytes: 2 * MIB, dataBytes: MIB, driverOptions: bySize } },
  { when: "Azure's", made: { creator: "wa\0\0" }, gives: { virtualSizeBytes: 2 * MIB, driverOptions: bySize } },
  { when: "Virtual PC's", made: { creator: "vpc " }, gives: { virtualSizeBytes: 2 * MIB, driverOptions: byGeometry } },
  {
    when: "one whose geometry is smaller",
    made: { creator: "vbox", geometry: [31, 8, 16] },
    gives: { virtualSizeBytes: 31 * 8 * 16 * 512, dataBytes: 31 * 8 * 16 * 512 - MIB, driverOptions: byGeometry },
  },
  {
    when: "one of the largest geometry",
    made: { creator: "vpc ", geometry: fullGeometry },
    gives: { virtualSizeBytes: 2 * MIB, driverOptions: bySize },
  },
  { when: "an empty one", made: { table: [unused, unused] }, gives: { dataBytes: 0 } },
  { when: "spare entries", made: { table: [blockAt / 512, unused, unused] }, gives: { dataBytes: MIB } },
])("reads $when", async ({ made, gives }) => {
  expect(await walkMade("vhd", vhd(made))).toMatchObject(gives);
});

test("a geometry smaller than the size is worth a word", () => {
  const read = (made: Made) => inspectors.vhd.readHead(vhd(made));
  expect(read({ creator: "vbox", geometry: [31, 8, 16] }).notices?.[0]).toContain("ends 65536 bytes before");
  expect(read({ creator: "vbox" })).toEqual({ virtualSizeBytes: 2 * MIB });
});

test.each<{ when: string; made: Made; code: string; byHead?: boolean }>([
  { when: "a differencing disk", made: { kind: 4 }, code: "ImageRefused" },
  { when: "a header on a fixed disk", made: { kind: 2 }, code: "ImageRefused" },
  { when: "an unknown kind", made: { kind: 6 }, code: "ImageRefused" },
  { when: "version 2", made: { version: 0x20000 }, code: "ImageRefused" },
  { when: "a wrong checksum", made: { flips: [200] }, code: "ImageCorrupt" },
  { when: "a size over the format's", made: { currentBytes: 2n ** 41n }, code: "ImageCorrupt" },
  { when: "the largest size there is", made: { currentBytes: 2n ** 64n - 1n }, code: "ImageCorrupt" },
  { when: "a header cut off", made: { fileBytes: 511 }, code: "ImageTruncated" },
  { when: "no dynamic header", made: { magic: "cxsparsf" }, code: "ImageCorrupt", byHead: false },
  { when: "a wrong second checksum", made: { flips: [dynamicAt + 700] }, code: "ImageCorrupt", byHead: false },
  { when: "blocks of 3 MiB", made: { blockBytes: 3 * MIB }, code: "ImageCorrupt", byHead: false },
  { when: "blocks of 512 bytes", made: { blockBytes: 512 }, code: "ImageCorrupt", byHead: false },
  { when: "blocks of 2 GiB", made: { blockBytes: 2 ** 31 }, code: "ImageCorrupt", byHead: false },
  { when: "too few blocks", made: { entries: 1 }, code: "ImageCorrupt", byHead: false },
  { when: "a table of 16 GiB", made: { entries: 2 ** 32 - 1 }, code: "ImageCorrupt", byHead: false },
  { when: "a dynamic header past the end", made: { dynamicOffset: 2n ** 63n }, code: "ImageTruncated", byHead: false },
  { when: "a table past the end", made: { tableOffset: 2n ** 60n }, code: "ImageTruncated", byHead: false },
  { when: "a block past the end", made: { table: [unused, 2 ** 31] }, code: "ImageTruncated", byHead: false },
  { when: "a block cut off", made: { fileBytes: blockAt + 511 + MIB }, code: "ImageTruncated", byHead: false },
])("refuses $when", async ({ made, code, byHead = true }) => {
  expect(codeOfHead("vhd", vhd(made))).toBe(byHead ? code : "accepted");
  await expect(walkMade("vhd", vhd(made))).rejects.toMatchObject({ code });
});
