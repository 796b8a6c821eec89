// VDI headers and block maps as VirtualBox writes them, and as somebody would write them who means harm.
import { expect, test } from "vitest";
import { codeOfHead, MIB, walkMade } from "./made-image.ts";

const mapAt = 512;
const dataAt = 1024;
const unused = 0xffff_ffff;

interface Made {
  fields?: Record<number, number>;
  sizeBytes?: bigint;
  map?: number[];
  fileBytes?: number;
}
/** By default a disk of two blocks, the second in the file's only block. */
function vdi({ fields = {}, sizeBytes = BigInt(2 * MIB), map = [unused, 0], fileBytes = dataAt + MIB }: Made): Buffer {
  const bytes = Buffer.alloc(dataAt + MIB);
  const sound = { 0x40: 0xbeda107f, 0x44: 0x10001, 0x48: 0x190, 0x4c: 1, 0x154: mapAt, 0x158: dataAt, 0x168: 512 };
  const all = { ...sound, 0x178: MIB, 0x180: map.length, ...fields };
  for (const [at, value] of Object.entries(all)) bytes.writeUInt32LE(value, Number(at));
  bytes.writeBigUInt64LE(sizeBytes, 0x170);
  for (const [index, block] of map.entries()) bytes.writeUInt32LE(block, mapAt + index * 4);
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, fileBytes - bytes.length))]).subarray(0, fileBytes);
}

test.each<{ when: string; made: Made; virtualSizeBytes?: number; dataBytes?: number }>([
  { when: "a dynamic one", made: {}, dataBytes: MIB },
  { when: "a static one", made: { fields: { 0x4c: 2 }, map: [0], sizeBytes: BigInt(MIB) }, virtualSizeBytes: MIB },
  { when: "an odd size, rounded up", made: { sizeBytes: 513n, map: [0] }, virtualSizeBytes: 1024, dataBytes: 1024 },
  { when: "discarded blocks", made: { map: [0xffff_fffe, unused] }, dataBytes: 0 },
  { when: "one block for both", made: { map: [0, 0] }, dataBytes: 2 * MIB },
  {
    when: "a last block whose end is not of the disk",
    made: { sizeBytes: 512n, map: [0], fileBytes: dataAt + 512 },
    virtualSizeBytes: 512,
    dataBytes: 512,
  },
  { when: "entries behind the disk", made: { sizeBytes: BigInt(MIB), map: [0, 7] }, virtualSizeBytes: MIB },
])("reads $when", async ({ made, virtualSizeBytes = 2 * MIB, dataBytes = MIB }) => {
  expect(await walkMade("vdi", vdi(made))).toEqual({ virtualSizeBytes, dataBytes });
});

test.each<{ when: string; made: Made; code: string; byHead?: boolean }>([
  { when: "an undo disk", made: { fields: { 0x4c: 3 } }, code: "ImageRefused" },
  { when: "a differencing disk", made: { fields: { 0x4c: 4 } }, code: "ImageRefused" },
  { when: "an unknown kind", made: { fields: { 0x4c: 5 } }, code: "ImageRefused" },
  { when: "a link", made: { fields: { 0x1a8: 1 } }, code: "ImageRefused" },
  { when: "a parent", made: { fields: { 0x1c4: 1 } }, code: "ImageRefused" },
  { when: "version 0.1", made: { fields: { 0x44: 1 } }, code: "ImageRefused" },
  { when: "sectors of 4096", made: { fields: { 0x168: 4096 } }, code: "ImageRefused" },
  { when: "blocks of 2 MiB", made: { fields: { 0x178: 2 * MIB } }, code: "ImageRefused" },
  { when: "blocks with more before them", made: { fields: { 0x17c: 512 } }, code: "ImageRefused" },
  { when: "a map in the header", made: { fields: { 0x154: 0 } }, code: "ImageCorrupt" },
  { when: "a map between sectors", made: { fields: { 0x154: 513 } }, code: "ImageCorrupt" },
  { when: "blocks between sectors", made: { fields: { 0x158: 1025 } }, code: "ImageCorrupt" },
  { when: "more disk than blocks", made: { sizeBytes: BigInt(2 * MIB) + 1n }, code: "ImageCorrupt" },
  { when: "the largest size there is", made: { sizeBytes: 2n ** 64n - 1n }, code: "ImageCorrupt" },
  { when: "a map of 4 GiB", made: { fields: { 0x180: 0x3fff_ffff } }, code: "ImageCorrupt" },
  { when: "a header cut off", made: { fileBytes: 511 }, code: "ImageTruncated" },
  { when: "a block that is none", made: { map: [2, 0] }, code: "ImageCorrupt", byHead: false },
  { when: "a block past the end", made: { map: [1, 0] }, code: "ImageTruncated", byHead: false },
  { when: "a block cut off", made: { fileBytes: dataAt + MIB - 1 }, code: "ImageTruncated", byHead: false },
  { when: "a map past the end", made: { fields: { 0x154: 4 * MIB } }, code: "ImageTruncated", byHead: false },
  { when: "a map cut off", made: { fileBytes: mapAt + 7 }, code: "ImageTruncated", byHead: false },
])("refuses $when", async ({ made, code, byHead = true }) => {
  expect(codeOfHead("vdi", vdi(made))).toBe(byHead ? code : "accepted");
  await expect(walkMade("vdi", vdi(made))).rejects.toMatchObject({ code });
});
