// Tables of small images made by hand: what is in bounds passes, what points outside is told before any tool reads it.
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { walkTables } from "../../../src/datapath/inspect/walk-tables.ts";
import { makeFolder } from "../../support/loop.ts";

const cluster = 65536;
const l1At = 3 * cluster;
const l2At = 4 * cluster;
const dataAt = 5 * cluster;
const zeroMark = 1n;
const compressedMark = 1n << 62n;
const copiedMark = 1n << 63n;

interface Made {
  version?: 2 | 3;
  incompatible?: bigint;
  virtualBytes?: number;
  /** Index to entry. */
  l1?: Record<number, bigint>;
  l1Offset?: number;
  l2?: Record<number, bigint>;
  /** The second words of extended entries. */
  bitmaps?: Record<number, bigint>;
  fileBytes?: number;
}

/** By default: four clusters of disk, the first in the file's last cluster. */
async function walk(made: Made, signal = new AbortController().signal): Promise<number> {
  const { version = 3, virtualBytes = 4 * cluster, incompatible = 0n, l1Offset = l1At } = made;
  const bytes = Buffer.alloc(6 * cluster);
  const entryBytes = incompatible === 16n ? 16 : 8;
  const l1 = made.l1 ?? { 0: BigInt(l2At) | copiedMark };
  bytes.write("QFI\u00fb", "latin1");
  bytes.writeUInt32BE(version, 4);
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(BigInt(virtualBytes), 24);
  bytes.writeUInt32BE(Math.max(1, ...Object.keys(l1).map((index) => Number(index) + 1)), 36);
  bytes.writeBigUInt64BE(BigInt(l1Offset), 40);
  bytes.writeBigUInt64BE(BigInt(cluster), 48);
  bytes.writeUInt32BE(1, 56);
  if (version === 3) {
    bytes.writeBigUInt64BE(incompatible, 72);
    bytes.writeUInt32BE(4, 96);
    bytes.writeUInt32BE(104, 100);
  }
  for (const [index, entry] of Object.entries(l1)) bytes.writeBigUInt64BE(entry, l1At + Number(index) * 8);
  const l2 = made.l2 ?? { 0: BigInt(dataAt) | copiedMark };
  for (const [index, entry] of Object.entries(l2)) bytes.writeBigUInt64BE(entry, l2At + Number(index) * entryBytes);
  for (const [index, bitmap] of Object.entries(made.bitmaps ?? {})) {
    bytes.writeBigUInt64BE(bitmap, l2At + Number(index) * entryBytes + 8);
  }
  const fileBytes = made.fileBytes ?? bytes.length;
  const path = join(await makeFolder(), "image");
  await writeFile(
    path,
    Buffer.concat([bytes, Buffer.alloc(Math.max(0, fileBytes - bytes.length))]).subarray(0, fileBytes),
  );
  const { dataBytes } = await walkTables(path, signal);
  return dataBytes / cluster;
}

/** Offset in the low bits, sectors beyond the first above them: 54 bits of offset with clusters of 64 KiB. */
const compressed = (offset: number, moreSectors: number): bigint =>
  compressedMark | (BigInt(moreSectors) << 54n) | BigInt(offset);
const at = (offset: number): bigint => BigInt(offset);

describe("sound tables; the clusters with data are counted", () => {
  test.each<{ when: string; made: Made; clusters: number }>([
    { when: "one cluster", made: {}, clusters: 1 },
    { when: "version 2", made: { version: 2 }, clusters: 1 },
    { when: "no L2 table", made: { l1: { 0: 0n } }, clusters: 0 },
    { when: "an empty L2 table", made: { l2: {} }, clusters: 0 },
    {
      when: "one cluster for many guest offsets",
      made: { l2: { 0: at(dataAt), 1: at(dataAt), 3: at(dataAt) } },
      clusters: 3,
    },
    { when: "the last cluster there in part", made: { fileBytes: dataAt + 1 }, clusters: 1 },
    { when: "a zero mark", made: { l2: { 0: zeroMark } }, clusters: 0 },
    { when: "a zero mark on a cluster past the end", made: { l2: { 0: at(100 * cluster) | zeroMark } }, clusters: 0 },
    { when: "a compressed cluster", made: { l2: { 0: compressed(dataAt + 77, 3) } }, clusters: 1 },
    {
      when: "a compressed cluster whose last sector is there in part, as qemu leaves it",
      made: { fileBytes: dataAt + 1000, l2: { 0: compressed(dataAt + 77, 1) } },
      clusters: 1,
    },
    {
      when: "entries behind the virtual size",
      made: { virtualBytes: cluster, l2: { 1: at(100 * cluster) } },
      clusters: 0,
    },
    { when: "an L1 entry behind the virtual size", made: { l1: { 0: at(l2At), 1: at(512) } }, clusters: 1 },
    {
      when: "an L2 table shared by two L1 entries",
      made: { virtualBytes: 2 * 8192 * cluster, l1: { 0: at(l2At), 1: at(l2At) } },
      clusters: 2,
    },
    {
      when: "an odd last cluster of the disk",
      made: { virtualBytes: cluster + 512, l2: { 1: at(dataAt) } },
      clusters: 1,
    },
    { when: "an empty disk", made: { virtualBytes: 0, l1: { 0: at(512) } }, clusters: 0 },
    {
      when: "subclusters",
      made: { incompatible: 16n, l2: { 0: at(dataAt), 1: 0n }, bitmaps: { 0: 0xffn, 1: 0xffn << 32n } },
      clusters: 1,
    },
    {
      when: "a cluster past the end, all of whose subclusters are zero or absent",
      made: { incompatible: 16n, l2: { 0: at(100 * cluster) }, bitmaps: { 0: 0xffff_0000n << 32n } },
      clusters: 0,
    },
  ])("$when", async ({ made, clusters }) => {
    expect(await walk(made)).toBe(clusters);
  });
});

describe("tables that point where nothing is", () => {
  test.each<{ when: string; made: Made; code: string; says: string }>([
    {
      when: "a cluster at the end",
      made: { l2: { 1: at(6 * cluster) } },
      code: "ImageTruncated",
      says: `guest offset ${cluster}`,
    },
    {
      when: "a cluster far past the end",
      made: { l2: { 0: at(2 ** 50) } },
      code: "ImageTruncated",
      says: "past the end",
    },
    {
      when: "a file that ends before its last cluster",
      made: { fileBytes: dataAt },
      code: "ImageTruncated",
      says: "past the end",
    },
    {
      when: "version 2 has no zero mark",
      made: { version: 2, l2: { 0: at(6 * cluster) | zeroMark } },
      code: "ImageCorrupt",
      says: "version 2 does not have",
    },
    {
      when: "a compressed cluster past the end",
      made: { l2: { 0: compressed(6 * cluster, 0) } },
      code: "ImageTruncated",
      says: "past the end",
    },
    {
      when: "a compressed cluster a whole sector of which is past the end",
      made: { l2: { 0: compressed(6 * cluster - 100, 1) } },
      code: "ImageTruncated",
      says: "past the end",
    },
    {
      when: "a subcluster past the end",
      made: { incompatible: 16n, l2: { 0: at(100 * cluster) }, bitmaps: { 0: 1n } },
      code: "ImageTruncated",
      says: "past the end",
    },
    {
      when: "an L2 table past the end",
      made: { l1: { 0: at(6 * cluster) } },
      code: "ImageTruncated",
      says: "L2 table 0",
    },
    {
      when: "an L2 table cut by the end",
      made: { fileBytes: l2At + 16, l2: {} },
      code: "ImageTruncated",
      says: "L2 table 0",
    },
    { when: "an L1 table past the end", made: { l1Offset: 100 * cluster }, code: "ImageTruncated", says: "L1 table" },
    { when: "a file that ends inside its header", made: { fileBytes: 60 }, code: "ImageTruncated", says: "header" },
    { when: "an empty file", made: { fileBytes: 0 }, code: "ImageTruncated", says: "header" },
    {
      when: "an unaligned cluster",
      made: { l2: { 2: at(dataAt + 512) } },
      code: "ImageCorrupt",
      says: `guest offset ${2 * cluster}`,
    },
    {
      when: "an unaligned cluster marked as zero",
      made: { l2: { 0: at(dataAt + 512) | zeroMark } },
      code: "ImageCorrupt",
      says: "unaligned",
    },
    { when: "an unaligned L2 table", made: { l1: { 0: at(l2At + 512) } }, code: "ImageCorrupt", says: "L1 entry 0" },
    {
      when: "unaligned with subclusters",
      made: { incompatible: 16n, l2: { 0: at(dataAt + 4096) }, bitmaps: { 0: 1n } },
      code: "ImageCorrupt",
      says: "unaligned",
    },
  ])("$when", async ({ made, code, says }) => {
    await expect(walk(made)).rejects.toMatchObject({ code, message: expect.stringContaining(says) });
  });
});

test("an abort ends the walk with the signal's reason", async () => {
  await expect(walk({}, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});

test("a link to an image is walked like the image", async () => {
  const folder = await makeFolder();
  const bytes = Buffer.alloc(6 * cluster);
  bytes.write("QFI\u00fb", "latin1");
  bytes.writeUInt32BE(2, 4);
  bytes.writeUInt32BE(16, 20);
  await writeFile(join(folder, "image"), bytes);
  await symlink("image", join(folder, "link"));
  const { header } = await walkTables(join(folder, "link"), new AbortController().signal);
  expect(header.virtualSizeBytes).toBe(0);
});
