// VHDX: two headers, a region table, metadata and a block table, each as it should be and as it should not.
import { expect, test } from "vitest";
import { crc32c } from "../../../src/datapath/inspect/crc32c.ts";
import { codeOfHead, MIB, walkMade } from "./made-image.ts";

const [regionsAt, metadataAt, batAt, dataAt] = [192 * 1024, MIB, 2 * MIB, 3 * MIB];
const guids = {
  bat: "6677c22d23f600429d64115e9bfd4a08",
  metadata: "06a27c8b90479a4bb8fe575f050f886e",
  parameters: "3767a1ca36fa434db3b633f0aa44e76b",
  size: "2442a52f1bcd7648b2115dbed83bf4b8",
  logicalSector: "1dbf41816fa90947ba47f233a8faab5f",
  physicalSector: "c748a3cd5d4471449cc9e9885251c556",
  page83: "ab12cabee6b22345 93efc309e000c746".replace(" ", ""),
  parentLocator: "2d5fd3a80bb34d45abf7d3d84834ab0c",
  unknown: "11111111222233334444555555555555",
};

interface Header {
  sequence?: bigint;
  log?: number;
  isBroken?: boolean;
  version?: number;
}
interface Made {
  headers?: [Header, Header];
  /** guid, offset, length, required. */
  regions?: [string, number, number, number][];
  regionsBroken?: boolean;
  regionCount?: number;
  parameters?: [number, number];
  sizeBytes?: bigint;
  sectorBytes?: number;
  /** guid, offset, length, flags. */
  items?: [string, number, number, number][];
  bat?: bigint[];
  fileBytes?: number;
}
const present = (offset: number): bigint => BigInt(offset) | 6n;
const soundRegions: [string, number, number, number][] = [
  [guids.bat, batAt, MIB, 1],
  [guids.metadata, metadataAt, MIB, 1],
];
const soundItems: [string, number, number, number][] = [
  [guids.parameters, 65536, 8, 4],
  [guids.size, 65544, 8, 6],
  [guids.logicalSector, 65552, 4, 6],
];

/** By default a disk of two blocks, the second in the file's last MiB. */
function vhdx(made: Made): Buffer {
  const bytes = Buffer.alloc(4 * MIB);
  bytes.write("vhdxfile", "latin1");
  for (const [index, header] of (made.headers ?? [{ sequence: 1n }, { sequence: 2n }]).entries()) {
    const part = bytes.subarray((index + 1) * 65536, (index + 1) * 65536 + 4096);
    part.write("head", "latin1");
    part.writeBigUInt64LE(header.sequence ?? 0n, 8);
    part.fill(header.log ?? 0, 48, 64);
    part.writeUInt16LE(header.version ?? 1, 66);
    part.writeUInt32LE((crc32c(part, 4) ^ (header.isBroken ? 1 : 0)) >>> 0, 4);
  }
  const regions = bytes.subarray(regionsAt, regionsAt + 65536);
  const rows = made.regions ?? soundRegions;
  regions.write("regi", "latin1");
  regions.writeUInt32LE(made.regionCount ?? rows.length, 8);
  for (const [index, [guid, offset, length, required]] of rows.entries()) {
    regions.write(guid, 16 + index * 32, "hex");
    regions.writeBigUInt64LE(BigInt(offset), 32 + index * 32);
    regions.writeUInt32LE(length, 40 + index * 32);
    regions.writeUInt32LE(required, 44 + index * 32);
  }
  regions.writeUInt32LE((crc32c(regions, 4) ^ (made.regionsBroken ? 1 : 0)) >>> 0, 4);
  const metadata = bytes.subarray(metadataAt, metadataAt + MIB);
  const items = made.items ?? soundItems;
  metadata.write("metadata", "latin1");
  metadata.writeUInt16LE(items.length, 10);
  for (const [index, [guid, ...numbers]] of items.entries()) {
    metadata.write(guid, 32 + index * 32, "hex");
    for (const [more, value] of numbers.entries()) metadata.writeUInt32LE(value, 48 + index * 32 + more * 4);
  }
  const [blockBytes, flags] = made.parameters ?? [MIB, 0];
  metadata.writeUInt32LE(blockBytes, 65536);
  metadata.writeUInt32LE(flags, 65540);
  metadata.writeBigUInt64LE(made.sizeBytes ?? BigInt(2 * MIB), 65544);
  metadata.writeUInt32LE(made.sectorBytes ?? 512, 65552);
  for (const [index, entry] of (made.bat ?? [0n, present(dataAt)]).entries()) {
    bytes.writeBigUInt64LE(entry, batAt + index * 8);
  }
  return bytes.subarray(0, made.fileBytes ?? bytes.length);
}

test("CRC-32C gives the sum that its RFC names", () => {
  expect(crc32c(Buffer.from("123456789"), 100)).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32), 100)).toBe(0x8a9136aa);
});

const behindBitmap = Array.from({ length: 4098 }, (_, index) => (index === 4097 ? present(dataAt) : 0n));
const brokenLog = { sequence: 9n, log: 1, isBroken: true };
test.each<{ when: string; made: Made; virtualSizeBytes?: number; dataBytes?: number }>([
  { when: "one block", made: {} },
  { when: "a broken second header", made: { headers: [{ sequence: 1n }, brokenLog] } },
  { when: "a broken first header", made: { headers: [brokenLog, { sequence: 1n }] } },
  { when: "an older header with a log", made: { headers: [{ sequence: 1n, log: 1 }, { sequence: 2n }] } },
  { when: "two equal headers", made: { headers: [{ sequence: 1n }, { sequence: 1n }] } },
  {
    when: "an unknown region that need not be known",
    made: { regions: [...soundRegions, [guids.unknown, MIB, MIB, 0]] },
  },
  { when: "unknown metadata that need not be known", made: { items: [...soundItems, [guids.unknown, 0, 0, 0]] } },
  { when: "blocks that read as zeros", made: { bat: [1n, 2n] }, dataBytes: 0 },
  { when: "unmapped blocks that still have a place", made: { bat: [3n | BigInt(dataAt), 5n] }, dataBytes: 0 },
  { when: "an odd end", made: { sizeBytes: 512n, bat: [present(dataAt)] }, virtualSizeBytes: 512, dataBytes: 512 },
  {
    when: "a last block of which the file holds what the disk needs",
    made: { sizeBytes: 512n, bat: [present(dataAt)], fileBytes: dataAt + 512 },
    virtualSizeBytes: 512,
    dataBytes: 512,
  },
  {
    when: "the bitmap's entry between the blocks' entries",
    made: { sizeBytes: BigInt(4097 * MIB), bat: [...behindBitmap.slice(0, 4096), 7n, present(dataAt)] },
    virtualSizeBytes: 4097 * MIB,
  },
])("reads $when", async ({ made, virtualSizeBytes = 2 * MIB, dataBytes = MIB }) => {
  expect(codeOfHead("vhdx", vhdx(made))).toBe("accepted");
  expect(await walkMade("vhdx", vhdx(made))).toEqual({ virtualSizeBytes, dataBytes });
});

const regions = (...rows: [string, number, number, number][]): Made => ({ regions: rows });
const items = (...rows: [string, number, number, number][]): Made => ({ items: rows });
const [batRegion, metadataRegion] = soundRegions as [(typeof soundRegions)[0], (typeof soundRegions)[0]];
test.each<{ when: string; made: Made; code: string }>([
  { when: "a log", made: { headers: [{ sequence: 3n, log: 1 }, { sequence: 2n }] }, code: "ImageRefused" },
  { when: "version 2", made: { headers: [{ sequence: 3n, version: 2 }, {}] }, code: "ImageRefused" },
  { when: "no sound header", made: { headers: [brokenLog, brokenLog] }, code: "ImageCorrupt" },
  { when: "a wrong sum of the regions", made: { regionsBroken: true }, code: "ImageCorrupt" },
  { when: "too many regions", made: { regionCount: 2 ** 32 - 1 }, code: "ImageCorrupt" },
  { when: "an unknown region", made: regions(...soundRegions, [guids.unknown, MIB, MIB, 1]), code: "ImageRefused" },
  { when: "no block table", made: regions(metadataRegion), code: "ImageCorrupt" },
  { when: "no metadata", made: regions(batRegion), code: "ImageCorrupt" },
  { when: "two block tables", made: regions(...soundRegions, batRegion), code: "ImageCorrupt" },
  { when: "regions over each other", made: regions(batRegion, [guids.metadata, batAt, MIB, 1]), code: "ImageCorrupt" },
  {
    when: "a region between MiBs",
    made: regions([guids.bat, batAt + 512, MIB, 1], metadataRegion),
    code: "ImageCorrupt",
  },
  { when: "a region in the headers", made: regions([guids.bat, 0, MIB, 1], metadataRegion), code: "ImageCorrupt" },
  { when: "a region of nothing", made: regions([guids.bat, batAt, 0, 1], metadataRegion), code: "ImageCorrupt" },
  { when: "a table of 1 GiB", made: regions([guids.bat, batAt, 2 ** 30, 1], metadataRegion), code: "ImageRefused" },
  {
    when: "a region past the end",
    made: regions([guids.bat, 2 ** 50, MIB, 1], metadataRegion),
    code: "ImageTruncated",
  },
  { when: "a parent", made: { parameters: [MIB, 2] }, code: "ImageRefused" },
  { when: "a parent locator", made: items(...soundItems, [guids.parentLocator, 65600, 20, 4]), code: "ImageRefused" },
  { when: "unknown metadata", made: items(...soundItems, [guids.unknown, 65600, 8, 4]), code: "ImageRefused" },
  { when: "metadata twice", made: items(...soundItems, [guids.size, 65544, 8, 6]), code: "ImageCorrupt" },
  { when: "no size", made: items(...soundItems.slice(0, 1)), code: "ImageCorrupt" },
  { when: "no parameters", made: items(), code: "ImageCorrupt" },
  { when: "metadata in their own table", made: items([guids.parameters, 16, 8, 4]), code: "ImageCorrupt" },
  { when: "metadata past their region", made: items([guids.parameters, 2 ** 32 - 1, 8, 4]), code: "ImageCorrupt" },
  { when: "metadata too short", made: items([guids.parameters, 65536, 4, 4]), code: "ImageCorrupt" },
  { when: "sectors of 4096", made: { sectorBytes: 4096 }, code: "ImageRefused" },
  { when: "blocks of 512 KiB", made: { parameters: [MIB / 2, 0] }, code: "ImageCorrupt" },
  { when: "blocks of 3 MiB", made: { parameters: [3 * MIB, 0] }, code: "ImageCorrupt" },
  { when: "blocks of 512 MiB", made: { parameters: [512 * MIB, 0] }, code: "ImageCorrupt" },
  { when: "an odd size", made: { sizeBytes: 513n }, code: "ImageCorrupt" },
  { when: "the largest size there is", made: { sizeBytes: 2n ** 64n - 512n }, code: "ImageCorrupt" },
  { when: "more disk than table", made: { sizeBytes: 2n ** 40n }, code: "ImageCorrupt" },
  { when: "a block of a parent", made: { bat: [7n] }, code: "ImageRefused" },
  { when: "a block in an unknown state", made: { bat: [4n] }, code: "ImageCorrupt" },
  { when: "a block in the headers", made: { bat: [6n] }, code: "ImageCorrupt" },
  { when: "a block past the end", made: { bat: [present(4 * MIB)] }, code: "ImageTruncated" },
  { when: "a block very far past the end", made: { bat: [2n ** 64n - 1n - 1n] }, code: "ImageTruncated" },
  { when: "a block cut off", made: { fileBytes: 4 * MIB - 1 }, code: "ImageTruncated" },
  { when: "a block table cut off", made: { fileBytes: 3 * MIB - 1 }, code: "ImageTruncated" },
  { when: "headers cut off", made: { fileBytes: MIB - 1 }, code: "ImageTruncated" },
])("refuses $when", async ({ made, code }) => {
  await expect(walkMade("vhdx", vhdx(made))).rejects.toMatchObject({ code });
});

test("an abort ends the walk with the signal's reason", async () => {
  await expect(walkMade("vhdx", vhdx({}), AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});
