// Headers as qemu writes them, and as somebody would write them who means harm.
import { expect, test } from "vitest";
import { readHeader } from "../../../src/datapath/qcow2/header.ts";
import type { Fault, FaultCode } from "../../../src/lib/faults.ts";

interface Fields {
  version?: number;
  backingOffset?: bigint;
  clusterBits?: number;
  size?: bigint;
  crypt?: number;
  l1Entries?: number;
  l1Offset?: bigint;
  incompatible?: bigint;
  compatible?: bigint;
  refcountOrder?: number;
  headerLength?: number;
  compression?: number;
}

/** A sound version 3 header of a 1 GiB disk, but for the fields given. */
function header(fields: Fields = {}): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write("QFI\u00fb", "latin1");
  bytes.writeUInt32BE(fields.version ?? 3, 4);
  bytes.writeBigUInt64BE(fields.backingOffset ?? 0n, 8);
  bytes.writeUInt32BE(fields.clusterBits ?? 16, 20);
  bytes.writeBigUInt64BE(fields.size ?? 2n ** 30n, 24);
  bytes.writeUInt32BE(fields.crypt ?? 0, 32);
  bytes.writeUInt32BE(fields.l1Entries ?? 2, 36);
  bytes.writeBigUInt64BE(fields.l1Offset ?? 0x30000n, 40);
  if ((fields.version ?? 3) < 3) return bytes;
  bytes.writeBigUInt64BE(fields.incompatible ?? 0n, 72);
  bytes.writeBigUInt64BE(fields.compatible ?? 0n, 80);
  bytes.writeUInt32BE(fields.refcountOrder ?? 4, 96);
  bytes.writeUInt32BE(fields.headerLength ?? 112, 100);
  bytes.writeUInt8(fields.compression ?? 0, 104);
  return bytes;
}

const sound = { version: 3, clusterBytes: 65536, virtualSizeBytes: 2 ** 30, compression: "zlib", extendedL2: false };
test.for<{ when: string; fields: Fields; gives: object }>([
  { when: "version 3", fields: {}, gives: { ...sound, l1Entries: 2, l1Offset: 0x30000, dirty: false, corrupt: false } },
  { when: "version 2", fields: { version: 2 }, gives: { ...sound, version: 2 } },
  {
    when: "a size that is no whole sector",
    fields: { size: 2n ** 29n + 700n },
    gives: { virtualSizeBytes: 2 ** 29 + 512 },
  },
  { when: "an empty disk", fields: { size: 0n, l1Entries: 0 }, gives: { virtualSizeBytes: 0 } },
  { when: "zstd clusters", fields: { incompatible: 8n, compression: 1 }, gives: { compression: "zstd" } },
  { when: "subclusters", fields: { incompatible: 16n, l1Entries: 4 }, gives: { extendedL2: true } },
  { when: "dirty and marked corrupt", fields: { incompatible: 3n }, gives: { dirty: true, corrupt: true } },
  { when: "lazy refcounts", fields: { compatible: 1n }, gives: { dirty: false, lazyRefcounts: true } },
  { when: "other compatible features", fields: { compatible: 254n }, gives: { lazyRefcounts: false } },
  {
    when: "the header before compression types",
    fields: { headerLength: 104, compression: 9 },
    gives: { compression: "zlib" },
  },
  { when: "clusters of 512 bytes", fields: { clusterBits: 9, l1Entries: 32768 }, gives: { clusterBytes: 512 } },
  { when: "a longer L1 table than needed", fields: { l1Entries: 4096 }, gives: { l1Entries: 4096 } },
])("reads $when", ({ fields, gives }) => {
  expect(readHeader(header(fields))).toMatchObject(gives);
});

test.for<{ when: string; fields: Fields; code: FaultCode; says: string }>([
  {
    when: "a backing file",
    fields: { backingOffset: 512n },
    code: "ImageRefused",
    says: "invalid because it has invalid backing file",
  },
  {
    when: "a backing file in version 2",
    fields: { version: 2, backingOffset: 1n },
    code: "ImageRefused",
    says: "backing file",
  },
  { when: "an external data file", fields: { incompatible: 4n }, code: "ImageRefused", says: "data in another file" },
  { when: "AES", fields: { crypt: 1 }, code: "ImageRefused", says: "encrypted" },
  { when: "LUKS", fields: { crypt: 2 }, code: "ImageRefused", says: "encrypted" },
  { when: "an unknown incompatible bit", fields: { incompatible: 1n << 5n }, code: "ImageRefused", says: "0x20" },
  { when: "the highest incompatible bit", fields: { incompatible: 1n << 63n }, code: "ImageRefused", says: "unknown" },
  { when: "version 1", fields: { version: 1 }, code: "FormatUnsupported", says: "version 1" },
  { when: "version 4", fields: { version: 4 }, code: "ImageRefused", says: "version 4" },
  {
    when: "an L1 table over qemu's limit",
    fields: { l1Entries: 2 ** 32 - 1 },
    code: "ImageCorrupt",
    says: "L1 size too big",
  },
  {
    when: "a size that needs such an L1 table",
    fields: { size: 2n ** 63n },
    code: "ImageCorrupt",
    says: "L1 size too big",
  },
  {
    when: "the largest size there is",
    fields: { clusterBits: 21, size: 2n ** 64n - 1n },
    code: "ImageCorrupt",
    says: "L1 size too big",
  },
  {
    when: "a size beyond exact numbers",
    fields: { clusterBits: 21, size: 2n ** 60n, l1Entries: 2 ** 22 },
    code: "ImageCorrupt",
    says: "virtual size",
  },
  { when: "an L1 table too short for the size", fields: { l1Entries: 1 }, code: "ImageCorrupt", says: "too small" },
  { when: "an L1 table at 0", fields: { l1Offset: 0n }, code: "ImageCorrupt", says: "offset 0" },
  { when: "an L1 table between clusters", fields: { l1Offset: 0x30200n }, code: "ImageCorrupt", says: "offset" },
  { when: "clusters of 256 bytes", fields: { clusterBits: 8 }, code: "ImageCorrupt", says: "2^8" },
  { when: "clusters of 4 MiB", fields: { clusterBits: 22 }, code: "ImageCorrupt", says: "2^22" },
  {
    when: "cluster bits no shift can take",
    fields: { clusterBits: 2 ** 32 - 1 },
    code: "ImageCorrupt",
    says: "cluster size",
  },
  {
    when: "subclusters under a sector",
    fields: { incompatible: 16n, clusterBits: 13, l1Entries: 4096 },
    code: "ImageCorrupt",
    says: "subclusters",
  },
  {
    when: "a compression type without its bit",
    fields: { compression: 1 },
    code: "ImageCorrupt",
    says: "compression type 1",
  },
  { when: "the bit without the type", fields: { incompatible: 8n }, code: "ImageCorrupt", says: "compression type 0" },
  {
    when: "an unknown compression type",
    fields: { incompatible: 8n, compression: 2 },
    code: "ImageCorrupt",
    says: "compression type 2",
  },
  {
    when: "a header shorter than its fields",
    fields: { headerLength: 72 },
    code: "ImageCorrupt",
    says: "header length",
  },
  {
    when: "a header longer than a cluster",
    fields: { headerLength: 2 ** 30 },
    code: "ImageCorrupt",
    says: "header length",
  },
  { when: "refcounts of 128 bits", fields: { refcountOrder: 7 }, code: "ImageCorrupt", says: "refcounts" },
])("refuses $when", ({ fields, code, says }) => {
  const read = (): unknown => readHeader(header(fields));
  expect(read).toThrow(expect.objectContaining({ code } satisfies Partial<Fault>));
  expect(read).toThrow(says);
});
