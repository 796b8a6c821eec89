// Sparse VMDKs: descriptors that name other disks, headers and footers that lie, grains that are not there.
import { expect, test } from "vitest";
import { descriptorOf, sparseHeader, vmwareStream } from "../../support/disk-formats.ts";
import { codeOfHead, MIB, walkMade } from "./made-image.ts";

const grain = 65536;
const [directoryAt, tableAt, dataAt] = [128, 132, 256];
const capacity = (4 * grain) / 512;
const extent = `RW ${capacity} SPARSE "disk.vmdk"`;

interface Made {
  change?: (header: Buffer) => void;
  descriptor?: string | Buffer;
  directory?: number[];
  table?: Record<number, number>;
  fileBytes?: number;
}
/** By default monolithicSparse: a disk of four grains, the first in the file's last 64 KiB. */
function vmdk(made: Made): Buffer {
  const bytes = Buffer.alloc(dataAt * 512 + grain);
  const header = sparseHeader(capacity, BigInt(directoryAt));
  header.writeUInt32LE(1, 4);
  header.writeUInt32LE(1, 8);
  header.writeUInt16LE(0, 77);
  made.change?.(header);
  header.copy(bytes);
  const descriptor = made.descriptor ?? descriptorOf("monolithicSparse", [extent]);
  Buffer.from(descriptor).copy(bytes, 512);
  for (const [index, sector] of (made.directory ?? [tableAt]).entries()) {
    bytes.writeUInt32LE(sector, directoryAt * 512 + index * 4);
  }
  for (const [index, sector] of Object.entries(made.table ?? { 0: dataAt })) {
    bytes.writeUInt32LE(sector, tableAt * 512 + Number(index) * 4);
  }
  return bytes.subarray(0, made.fileBytes ?? bytes.length);
}
const described = (type: string, extents = [extent], more?: string): Made => ({
  descriptor: descriptorOf(type, extents, more),
});

test.each<{ when: string; made: Made; dataBytes?: number }>([
  { when: "one grain", made: {} },
  { when: "the other type, in capitals", made: described("STREAMOPTIMIZED") },
  {
    when: "Windows' line ends",
    made: { descriptor: descriptorOf("monolithicSparse", [extent]).replaceAll("\n", "\r\n") },
  },
  { when: "a read-only extent", made: described("monolithicSparse", [extent.replace("RW", "RDONLY")]) },
  { when: "no grain table", made: { directory: [0] }, dataBytes: 0 },
  { when: "no newline test", made: { change: (header) => header.fill(0, 73, 77).writeUInt32LE(0, 8) } },
  { when: "a zero grain", made: { change: (header) => header.writeUInt32LE(5, 8), table: { 0: 1 } }, dataBytes: 0 },
  { when: "entries behind the disk", made: { table: { 4: 2 ** 31 } }, dataBytes: 0 },
])("reads $when", async ({ made, dataBytes = grain }) => {
  expect(await walkMade("vmdk", vmdk(made))).toEqual({ virtualSizeBytes: 4 * grain, dataBytes });
});

test.each<{ when: string; made: Made; code?: string }>([
  { when: "flat extents", made: described("monolithicFlat", ['RW 512 FLAT "disk-flat.vmdk" 0']) },
  { when: "a flat extent under a sparse type", made: described("monolithicSparse", ['RW 512 FLAT "/etc/shadow" 0']) },
  { when: "a host's path", made: described("monolithicSparse", [extent.replace("disk", "/etc/disk")]) },
  { when: "a Windows path", made: described("monolithicSparse", [extent.replace("disk", "C:\\disk")]) },
  { when: "two extents", made: described("monolithicSparse", [extent, extent]) },
  { when: "no extent", made: described("monolithicSparse", []) },
  { when: "an extent without access", made: described("monolithicSparse", [extent.replace("RW", "NOACCESS")]) },
  { when: "ESX", made: described("vmfs", ['RW 512 VMFS "disk-flat.vmdk"']) },
  { when: "seSparse", made: described("seSparse") },
  { when: "a split disk", made: described("twoGbMaxExtentSparse") },
  { when: "a raw device", made: described("fullDevice") },
  { when: "a custom type", made: described("custom") },
  { when: "a parent", made: described("monolithicSparse", [extent], "parentCID=0badcafe") },
  {
    when: "a parent's name",
    made: described("monolithicSparse", [extent], 'parentCID=ffffffff\nparentFileNameHint="/etc/shadow"'),
  },
  {
    when: "a parent's name behind the text's end",
    made: { descriptor: `${descriptorOf("monolithicSparse", [extent])}\0parentFileNameHint="x"` },
  },
  {
    when: "a parent's name past what the header counts",
    made: {
      change: (header) => header.writeBigUInt64LE(1n, 36),
      descriptor: `${descriptorOf("monolithicSparse", [extent])}${" ".repeat(600)}parentFileNameHint="x"`,
    },
  },
  { when: "a zeroed descriptor", made: { descriptor: "" } },
  { when: "another text", made: { descriptor: "#!/bin/sh\n" } },
  { when: "no descriptor", made: { change: (header) => header.fill(0, 28, 44) } },
  { when: "a descriptor elsewhere", made: { change: (header) => header.writeBigUInt64LE(100n, 28) } },
  { when: "a huge descriptor", made: { change: (header) => header.writeBigUInt64LE(2n ** 60n, 36) } },
  { when: "a descriptor of no sectors", made: { change: (header) => header.writeBigUInt64LE(0n, 36) } },
  { when: "no capacity", made: { change: (header) => header.writeBigUInt64LE(0n, 12) } },
  { when: "version 4", made: { change: (header) => header.writeUInt32LE(4, 4) } },
  { when: "unknown compression", made: { change: (header) => header.writeUInt16LE(2, 77) } },
  { when: "compressed grains without marks", made: { change: (header) => header.writeUInt16LE(1, 77) } },
  { when: "two types", made: described('monolithicSparse"\ncreateType="vmfs'), code: "ImageCorrupt" },
  { when: "no CID of a parent", made: described("monolithicSparse", [extent], "x=1"), code: "ImageCorrupt" },
  { when: "changed line ends", made: { change: (header) => header.write("\n\n", 75) }, code: "ImageCorrupt" },
  { when: "the largest capacity", made: { change: (header) => header.fill(255, 12, 20) }, code: "ImageCorrupt" },
  {
    when: "grains of 1 GiB",
    made: { change: (header) => header.writeBigUInt64LE(2n ** 21n, 20) },
    code: "ImageCorrupt",
  },
  {
    when: "grains of 96 sectors",
    made: { change: (header) => header.writeBigUInt64LE(96n, 20) },
    code: "ImageCorrupt",
  },
  { when: "grains of nothing", made: { change: (header) => header.writeBigUInt64LE(0n, 20) }, code: "ImageCorrupt" },
  { when: "tables of other lengths", made: { change: (header) => header.writeUInt32LE(0, 44) }, code: "ImageCorrupt" },
  { when: "no directory", made: { change: (header) => header.writeBigUInt64LE(0n, 56) }, code: "ImageCorrupt" },
  { when: "a header cut off", made: { fileBytes: 511 }, code: "ImageTruncated" },
  { when: "a descriptor cut off", made: { fileBytes: 4096 }, code: "ImageTruncated" },
])("refuses $when by its head", async ({ made, code = "ImageRefused" }) => {
  expect(codeOfHead("vmdk", vmdk(made))).toBe(code);
  await expect(walkMade("vmdk", vmdk(made))).rejects.toMatchObject({ code });
});

test.each<{ when: string; made: Made }>([
  { when: "a grain past the end", made: { table: { 1: 2 ** 32 - 1 } } },
  { when: "a grain cut off", made: { fileBytes: dataAt * 512 + grain - 1 } },
  { when: "a grain table past the end", made: { directory: [2 ** 32 - 1] } },
  { when: "a grain table cut off", made: { fileBytes: tableAt * 512 + 2047 } },
  { when: "a directory past the end", made: { change: (header) => header.writeBigUInt64LE(2n ** 50n, 56) } },
  {
    when: "a spare directory past the end",
    made: { change: (header) => header.writeUInt32LE(3, 8) && header.writeBigUInt64LE(2n ** 50n, 48) },
  },
  { when: "more overhead than file", made: { change: (header) => header.writeBigUInt64LE(9999n, 64) } },
])("refuses $when by its tables", async ({ made }) => {
  expect(codeOfHead("vmdk", vmdk(made))).toBe("accepted");
  await expect(walkMade("vmdk", vmdk(made))).rejects.toMatchObject({ code: "ImageTruncated" });
});

const disk = Buffer.alloc(MIB, 7);
test("reads a directory at the end", async () => {
  expect(await walkMade("vmdk", vmwareStream(disk))).toEqual({ virtualSizeBytes: MIB, dataBytes: MIB });
});
test.each([
  { when: "with another capacity", footer: (footer: Buffer) => footer.writeBigUInt64LE(2n ** 20n, 12) },
  { when: "with other grains", footer: (footer: Buffer) => footer.writeBigUInt64LE(8n, 20) },
  { when: "whose directory is at the end again", footer: (footer: Buffer) => footer.fill(255, 56, 64) },
  { when: "without its mark", footer: (footer: Buffer) => footer.write("VMDK"), code: "ImageTruncated" },
  { when: "of no sectors", footer: (footer: Buffer) => footer.fill(0, 12, 20), code: "ImageRefused" },
])("refuses a footer $when", async ({ footer, code = "ImageCorrupt" }) => {
  await expect(walkMade("vmdk", vmwareStream(disk, { footer }))).rejects.toMatchObject({ code });
});
test("refuses a compressed grain that says it is longer than the file", async () => {
  const bytes = vmwareStream(disk);
  bytes.writeUInt32LE(2 ** 31, 128 * 512 + 8);
  await expect(walkMade("vmdk", bytes)).rejects.toMatchObject({ code: "ImageTruncated" });
});
