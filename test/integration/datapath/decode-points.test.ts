// Decoding that begins again at the points a decoder told: the bytes behind each, whatever the file looks like around it.
import { execFile } from "node:child_process";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { crc32, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decoders, PointUnusable, type DecodePoint } from "../../../src/datapath/decoders/index.ts";
import { decodeNatively } from "../../../src/datapath/decoders/xz.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { seededBytes } from "../../support/images.ts";

const MIB = 1024 * 1024;
const disk = Buffer.concat([seededBytes(3 * MIB + 7, "points"), Buffer.alloc(2 * MIB), seededBytes(MIB, "tail")]);
const parts = [disk.subarray(0, MIB), disk.subarray(MIB, 2 * MIB + 5), disk.subarray(2 * MIB + 5)];

interface Row {
  what: string;
  layer: "xz" | "zst" | "gz";
  bytes: () => Promise<Buffer>;
  /** At least: a zst frame that ends where a piece of input does is found out with the next one. */
  points: number;
}
const rows: Row[] = [
  { what: "xz of several blocks", layer: "xz", bytes: () => sizedXz(disk), points: 7 },
  { what: "xz without a check", layer: "xz", bytes: () => sizedXz(disk, "--check=none"), points: 7 },
  { what: "xz with sha256", layer: "xz", bytes: () => sizedXz(disk, "--check=sha256"), points: 7 },
  {
    what: "two xz streams with padding between and behind",
    layer: "xz",
    bytes: async () => joined(sizedXz(parts[0] ?? disk), Buffer.alloc(8), sizedXz(disk.subarray(MIB)), Buffer.alloc(4)),
    points: 7,
  },
  { what: "xz whose blocks bear no size", layer: "xz", bytes: () => sizedXz(disk, "-T1"), points: 0 },
  { what: "several gz members", layer: "gz", bytes: () => joined(...parts.map((part) => gzipSync(part))), points: 3 },
  {
    what: "gz members with zeros behind",
    layer: "gz",
    bytes: () => joined(...parts.map((part) => gzipSync(part)), Buffer.alloc(9)),
    points: 3,
  },
  {
    what: "several zst frames",
    layer: "zst",
    bytes: () => joined(...parts.map((part) => zstdCompressSync(part))),
    points: 2,
  },
];

describe("points", () => {
  test.for(rows)("of $what: from each the rest comes out right", async ({ layer, bytes, points }) => {
    const sent = await bytes();
    const told = await pointsOf(layer, sent);
    expect(told.length).toBeGreaterThanOrEqual(points);
    if (points === 0) expect(told).toEqual([]);
    for (const from of told) {
      const later: DecodePoint[] = [];
      const rest = await decode(layer, sent.subarray(from.inputBytes), { from, onPoint: (point) => later.push(point) });
      expect(rest.equals(disk.subarray(from.outputBytes))).toBe(true);
      if (layer !== "zst") expect(later).toEqual(told.filter(({ inputBytes }) => inputBytes > from.inputBytes));
    }
  });

  test("of xz serve the decoder that stands in for the tool", async () => {
    const sent = await sizedXz(disk);
    const [, , from] = await pointsOf("xz", sent);
    const rest = await decodeNatively(inPieces(sent.subarray(from?.inputBytes)), { from });
    expect((await buffer(rest)).equals(disk.subarray(from?.outputBytes))).toBe(true);
  });
});

describe("refused behind a point", () => {
  test.for<{ what: string; change: (bytes: Buffer) => Buffer; says: string }>([
    { what: "a block that was changed", change: (bytes) => flipped(bytes, -MIB / 2), says: "corrupt" },
    { what: "an index that was changed", change: (bytes) => flipped(bytes, -30), says: "corrupt" },
    { what: "an index that was changed and sealed again", change: resealed, says: "corrupt" },
    { what: "a footer that was changed", change: (bytes) => flipped(bytes, -7), says: "corrupt" },
    { what: "a cut in the index", change: (bytes) => bytes.subarray(0, -20), says: "Unexpected end" },
  ])("$what", async ({ change, says }) => {
    const sent = await sizedXz(disk);
    const [from] = await pointsOf("xz", sent);
    const rest = decode("xz", change(sent.subarray(from?.inputBytes)), { from });
    await expect(rest).rejects.toMatchObject({
      code: "ImageCorrupt",
      message: expect.stringContaining(says) as string,
    });
  });

  test.for([undefined, "", "0004:1:zz", "ff04:1:" + "0".repeat(64)])("a state of %s", async (state) => {
    const from = { inputBytes: 12, outputBytes: 0, ...(state === undefined ? {} : { state }) };
    await expect(decode("xz", await sizedXz(disk), { from })).rejects.toThrow(PointUnusable);
  });

  test("bytes that are no block", async () => {
    const sent = await sizedXz(disk);
    const [from] = await pointsOf("xz", sent);
    await expect(decode("xz", seededBytes(MIB, "junk"), { from })).rejects.toThrow(PointUnusable);
  });
});

type Resume = NonNullable<Parameters<(typeof decoders)["xz"]>[3]>;

async function decode(layer: Row["layer"], sent: Buffer, resume: Resume): Promise<Buffer> {
  return await buffer(await decoders[layer](inPieces(sent), new AbortController().signal, silentLog, resume));
}

async function pointsOf(layer: Row["layer"], sent: Buffer): Promise<DecodePoint[]> {
  const points: DecodePoint[] = [];
  expect((await decode(layer, sent, { onPoint: (point) => points.push(point) })).equals(disk)).toBe(true);
  return points;
}

/** Pieces of odd sizes, so that borders fall anywhere. */
function inPieces(bytes: Buffer): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 3) % 70_001) {
    size = Math.max(1, size);
    pieces.push(bytes.subarray(at, at + size));
  }
  return Readable.from(pieces);
}

/** As `xz -T0` writes it: each block says its sizes. */
async function sizedXz(bytes: Buffer, ...args: string[]): Promise<Buffer> {
  const child = promisify(execFile)("xz", ["-1", "-T2", "--block-size=1MiB", "--stdout", ...args], {
    encoding: "buffer",
    maxBuffer: 64 * MIB,
  });
  child.child.stdin?.end(bytes);
  return (await child).stdout;
}

async function joined(...pieces: (Buffer | Promise<Buffer>)[]): Promise<Buffer> {
  const bytes: Buffer[] = [];
  for (const piece of pieces) bytes.push(await piece);
  return Buffer.concat(bytes);
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = copy.length + at;
  copy.writeUInt8(copy.readUInt8(index) ^ 1, index);
  return copy;
}

/** The last block's size in the index is another one, and the index's own CRC right for it. */
function resealed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const indexEnd = copy.length - 12;
  const indexStart = indexEnd - (copy.readUInt32LE(copy.length - 8) + 1) * 4;
  let last = indexEnd - 5;
  while (copy[last] === 0) last -= 1;
  copy.writeUInt8(copy.readUInt8(last) ^ 1, last);
  copy.writeUInt32LE(crc32(copy.subarray(indexStart, indexEnd - 4)), indexEnd - 4);
  return copy;
}
