// What compressed streams may look like beside the plain case, and what decoders refuse, each through a whole import.
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { constants, crc32, createZstdCompress, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeNatively } from "../../../src/datapath/decoders/xz.ts";
import { bring, bytesSource, failureOf, makePlace } from "../../support/bring.ts";
import { livingChildren } from "../../support/child-processes.ts";
import { seededBytes, wrap, xzOf } from "../../support/images.ts";

const MIB = 1024 * 1024;
const raw = Buffer.concat([seededBytes(MIB + 7, "raw"), Buffer.alloc(2 * MIB), seededBytes(99, "tail")]);

describe("accepted", () => {
  test.for<{ what: string; bytes: () => Promise<Buffer> | Buffer; layers: string[] }>([
    { what: "xz in one block", bytes: () => xzOf(raw, "one"), layers: ["xz"] },
    { what: "gz with padding larger than any buffer", bytes: () => padded(gzipSync(raw), 12 * MIB), layers: ["gz"] },
    {
      what: "gz with padding that ends in other bytes",
      bytes: () => Buffer.concat([padded(gzipSync(raw), 5000), seededBytes(5000, "x")]),
      layers: ["gz"],
    },
    { what: "xz with padding of whole words", bytes: async () => padded(await xzOf(raw), 64 * 1024), layers: ["xz"] },
    { what: "padded gz under xz", bytes: async () => await xzOf(padded(gzipSync(raw), 3 * MIB)), layers: ["xz", "gz"] },
    {
      what: "padded xz under padded gz",
      bytes: async () => padded(gzipSync(padded(await xzOf(raw), MIB)), MIB),
      layers: ["gz", "xz"],
    },
    { what: "a thousand gz members", bytes: () => members(1000), layers: ["gz"] },
    {
      what: "a disk of zeros under zst, in fewer bytes than a sector",
      bytes: () => wrap(Buffer.alloc(MIB), "zst"),
      layers: ["zst"],
    },
  ])("$what, with the checksum over all bytes sent", async ({ what, bytes, layers }) => {
    const sent = await bytes();
    const place = await makePlace();
    const checksum = `sha256:${createHash("sha256").update(sent).digest("hex")}`;
    const done = await bring(bytesSource(sent), place, { checksum });
    expect(done).toMatchObject({ layers, bytesRead: sent.length });
    expect((await place.disk()).equals(what.startsWith("a disk of zeros") ? Buffer.alloc(MIB) : raw)).toBe(true);
  });
});

describe("a wrong checksum", () => {
  test.for([0, 5 * MIB])("is found with %i bytes of padding behind gz", async (padding) => {
    const sent = padded(gzipSync(raw), padding);
    // Right for the stream without its last byte: only a reader of everything tells the two apart.
    const wrong = createHash("sha1").update(sent.subarray(0, -1)).digest("hex");
    const right = createHash("sha1").update(sent).digest("hex");
    const place = await makePlace();
    expect(await failureOf(bring(bytesSource(sent), place, { checksum: `sha1:${wrong}` }))).toEqual({
      code: "ChecksumMismatch",
      message: `checksum validation failed: checksum mismatch: expected sha1:${wrong}, calculated sha1:${right}`,
    });
    expect(await place.left()).toEqual([]);
  });
});

describe("refused", () => {
  test.for<{ what: string; bytes: () => Promise<Buffer> | Buffer; code: string; says: string }>([
    {
      what: "gz of another method",
      bytes: () => changed(gzipSync(raw), 2, 7),
      code: "ImageCorrupt",
      says: "gz: unknown method 7",
    },
    {
      what: "gz with a wrong crc",
      bytes: () => flipped(gzipSync(raw), -8),
      code: "ImageCorrupt",
      says: "gz: crc error",
    },
    {
      what: "gz with a wrong length",
      bytes: () => flipped(gzipSync(raw), -1),
      code: "ImageCorrupt",
      says: "gz: length error",
    },
    {
      what: "gz cut in its trailer",
      bytes: () => gzipSync(raw).subarray(0, -3),
      code: "ImageCorrupt",
      says: "gz: unexpected end",
    },
    {
      what: "gz cut between header and data",
      bytes: () => gzipSync(raw).subarray(0, 10),
      code: "ImageCorrupt",
      says: "gz: unexpected end",
    },
    {
      what: "xz with a changed byte",
      bytes: async () => flipped(await xzOf(raw), 600_000),
      code: "ImageCorrupt",
      says: "xz: Compressed data is corrupt",
    },
    {
      what: "xz that is cut",
      bytes: async () => (await xzOf(raw)).subarray(0, -20),
      code: "ImageCorrupt",
      says: "xz: Unexpected end of input",
    },
    {
      what: "xz with other bytes behind",
      bytes: async () => Buffer.concat([await xzOf(raw), raw]),
      code: "ImageCorrupt",
      says: "xz: ",
    },
    {
      what: "xz that wants 4 GiB of memory",
      bytes: async () => greedyXz(await xzOf(raw, "one")),
      code: "ImageRefused",
      says: "xz: Memory usage limit",
    },
    { what: "zst with a changed byte", bytes: () => checkedZst(), code: "ImageCorrupt", says: "zst: " },
    {
      what: "zst that is cut",
      bytes: async () => (await wrap(raw, "zst")).subarray(0, -1),
      code: "ImageCorrupt",
      says: "zst: unexpected end",
    },
    {
      what: "zst with other bytes behind",
      bytes: async () => Buffer.concat([await wrap(raw, "zst"), raw]),
      code: "ImageCorrupt",
      says: "zst: bytes that are no frame",
    },
    { what: "zst with a window of 256 MiB", bytes: () => wideZst(28), code: "ImageRefused", says: "zst: its window" },
  ])("$what", async ({ bytes, code, says }) => {
    const place = await makePlace();
    const failure = await failureOf(bring(bytesSource(await bytes()), place));
    expect(failure).toEqual({ code, message: expect.stringContaining(`unable to decompress ${says}`) });
    expect(await place.left()).toEqual([]);
    expect(livingChildren()).toEqual([]);
  });

  test("zst with a window of 128 MiB is taken", async () => {
    const place = await makePlace();
    await bring(bytesSource(await wideZst(27)), place);
    expect((await place.disk()).equals(raw)).toBe(true);
  });
});

describe("xz where the tool is absent", () => {
  const decoded = async (bytes: Buffer): Promise<Buffer> => await buffer(await decodeNatively(Readable.from([bytes])));
  test("streams in a row, padded", async () => {
    const both = Buffer.concat([await xzOf(raw), Buffer.alloc(8), await xzOf(raw, "one"), Buffer.alloc(4)]);
    expect((await decoded(both)).equals(Buffer.concat([raw, raw]))).toBe(true);
  });
  test.for([
    { what: "cut", bytes: async () => (await xzOf(raw)).subarray(0, -20) },
    { what: "changed", bytes: async () => flipped(await xzOf(raw), 600_000) },
  ])("$what bytes are corrupt", async ({ bytes }) => {
    expect(await failureOf(decoded(await bytes()))).toMatchObject({
      code: "ImageCorrupt",
      message: expect.stringMatching(/^unable to decompress xz: /),
    });
  });
});

const padded = (bytes: Buffer, zeros: number): Buffer => Buffer.concat([bytes, Buffer.alloc(zeros)]);

function members(count: number): Buffer {
  const size = Math.ceil(raw.length / count);
  return Buffer.concat(Array.from({ length: count }, (_, at) => gzipSync(raw.subarray(at * size, (at + 1) * size))));
}

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}
const flipped = (bytes: Buffer, at: number): Buffer => {
  const place = at < 0 ? bytes.length + at : at;
  return changed(bytes, place, bytes.readUInt8(place) ^ 0x55);
};

/** The dictionary size in the first block's header becomes 4 GiB, and the header's checksum right again. */
function greedyXz(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const headerEnd = 12 + (copy.readUInt8(12) + 1) * 4;
  const filter = copy.indexOf(Buffer.from([0x21, 0x01]), 12);
  copy[filter + 2] = 40;
  copy.writeUInt32LE(crc32(copy.subarray(12, headerEnd - 4)), headerEnd - 4);
  return copy;
}

async function zstOf(params: Record<number, number>): Promise<Buffer> {
  const compressor = createZstdCompress({ params });
  compressor.end(raw);
  return await buffer(compressor);
}
const wideZst = (windowLog: number): Promise<Buffer> => zstOf({ [constants.ZSTD_c_windowLog]: windowLog });
const checkedZst = async (): Promise<Buffer> => flipped(await zstOf({ [constants.ZSTD_c_checksumFlag]: 1 }), 300_000);
