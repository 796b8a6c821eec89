// xz files whose blocks several tools decode side by side: the bytes come out in the file's order whatever the blocks' sizes, more
// waits than may be kept, and what is damaged, cut or cannot be followed is told as one tool would tell it.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { decodeInParallel } from "../../../src/datapath/decoders/xz-parallel.ts";
import { findTool } from "../../../src/datapath/child.ts";
import { failureOf } from "../../support/bring.ts";
import { livingChildren } from "../../support/child-processes.ts";
import { seededBytes } from "../../support/images.ts";

const MIB = 1024 * 1024;
const path = findTool("xz");
/** Blocks that take long, blocks that take none, and a rest that fills no sector. */
const mixed = Buffer.concat([
  seededBytes(3 * MIB, "a"),
  Buffer.alloc(20 * MIB),
  seededBytes(300_001, "b"),
  Buffer.alloc(5 * MIB, "text, and more of it. "),
  seededBytes(2 * MIB, "c"),
  Buffer.alloc(MIB),
  seededBytes(77, "d"),
]);
/** More than all that may wait ahead, of bytes that take no time to unpack. */
const wide = Buffer.alloc(120 * MIB, seededBytes(4099, "e"));

describe.skipIf(!path)(`xz side by side${path ? "" : ": xz is not installed (package xz-utils)"}`, () => {
  afterEach(() => expect(livingChildren()).toEqual([]));

  test.for<{ what: string; sent: () => Promise<Buffer>; is: Buffer }>([
    { what: "blocks of 1 MiB", sent: () => packed(mixed, "--block-size=1MiB"), is: mixed },
    { what: "blocks of an odd size", sent: () => packed(mixed, "--block-size=1000003"), is: mixed },
    {
      what: "blocks of 4 KiB",
      sent: () => packed(mixed.subarray(0, 2 * MIB), "--block-size=4096"),
      is: mixed.subarray(0, 2 * MIB),
    },
    { what: "one block", sent: () => packed(mixed, "--block-size=64MiB"), is: mixed },
    { what: "blocks larger than what may wait", sent: () => packed(wide, "--block-size=40MiB"), is: wide },
    { what: "many that wait for one", sent: () => packed(wide, "--block-size=8MiB"), is: wide },
    {
      what: "large dictionaries",
      sent: () => packed(mixed, "--block-size=4MiB", "--lzma2=dict=128MiB,mode=fast,nice=8"),
      is: mixed,
    },
    {
      what: "a filter before the packing",
      sent: () => packed(mixed, "--block-size=4MiB", "--x86", "--lzma2"),
      is: mixed,
    },
    { what: "blocks that bear no size", sent: () => packed(mixed, "-T1", "--block-size=1MiB"), is: mixed },
    {
      what: "streams of either kind, with padding",
      sent: async () => {
        const [with_, without] = [await packed(mixed, "--block-size=1MiB"), await packed(mixed, "-T1")];
        return Buffer.concat([with_, Buffer.alloc(8), without, with_, Buffer.alloc(400_000)]);
      },
      is: Buffer.concat([mixed, mixed, mixed]),
    },
    { what: "an empty stream", sent: () => packed(Buffer.alloc(0), "--block-size=1MiB"), is: Buffer.alloc(0) },
  ])("$what", async ({ sent, is }) => {
    expect((await decoded(await sent())).equals(is)).toBe(true);
  });

  test("a source that pauses within a block: what came before is handed on", async () => {
    const sent = await packed(wide, "--block-size=8MiB");
    const input = new Readable({ read: () => undefined });
    input.push(sent.subarray(0, sent.length - 2000));
    const output = start(input);
    let got = 0;
    for await (const piece of output) {
      got += (piece as Buffer).length;
      // All but the last block, whose end is still to come.
      if (got === 112 * MIB) {
        input.push(sent.subarray(sent.length - 2000));
        input.push(null);
      }
    }
    expect(got).toBe(wide.length);
  });

  describe("refused", () => {
    const base = (): Promise<Buffer> => packed(mixed, "--block-size=1MiB");
    test.for<{ what: string; change: (bytes: Buffer) => Buffer; says: string }>([
      {
        what: "a changed byte in a block",
        change: (bytes) => flipped(bytes, 100_000),
        says: "Compressed data is corrupt",
      },
      { what: "a changed byte in a block's header", change: (bytes) => flipped(bytes, 14), says: "" },
      { what: "a block's header that lies about its size", change: lying, says: "" },
      {
        what: "a changed byte in the index",
        change: (bytes) => flipped(bytes, bytes.length - 20),
        says: "Compressed data is corrupt",
      },
      {
        what: "a changed byte in the footer",
        change: (bytes) => flipped(bytes, bytes.length - 1),
        says: "Compressed data is corrupt",
      },
      { what: "no index", change: (bytes) => bytes.subarray(0, indexStart(bytes)), says: "Unexpected end of input" },
      { what: "other bytes behind", change: (bytes) => Buffer.concat([bytes, seededBytes(MIB, "x")]), says: "" },
      {
        what: "padding that is no word",
        change: (bytes) => Buffer.concat([bytes, Buffer.alloc(3)]),
        says: "Unexpected end of input",
      },
    ])("$what", async ({ change, says }) => {
      expect(await failureOf(decoded(change(await base())))).toEqual({
        code: "ImageCorrupt",
        message: expect.stringContaining(`unable to decompress xz: ${says}`),
      });
    });

    test("cut anywhere", async () => {
      const bytes = await base();
      for (let cut = 1; cut < bytes.length; cut += 211_003) {
        expect(await failureOf(decoded(bytes.subarray(0, cut))), `at ${cut}`).toMatchObject({ code: "ImageCorrupt" });
      }
    });

    test("cut within a block's last bytes, behind all that it holds", async () => {
      const bytes = await base();
      for (let missing = 1; missing <= 24; missing += 1) {
        const cut = bytes.subarray(0, indexStart(bytes) - missing);
        expect(await failureOf(decoded(cut)), `${missing} missing`).toMatchObject({ code: "ImageCorrupt" });
      }
    });

    test("a source that fails keeps its own error, and one that nobody reads any more lets go", async () => {
      const bytes = await base();
      const failing = new Readable({ read: () => undefined });
      failing.push(bytes.subarray(0, 3 * MIB));
      const output = start(failing);
      output.once("data", () => failing.destroy(new Error("the line is down")));
      await expect(output.toArray()).rejects.toThrow("the line is down");
      const left = start(inPieces(bytes));
      await once(left, "data");
      await once(left.destroy(), "close");
      expect(left.errored).toBeNull();
    });
  });
});

function start(input: Readable): Readable {
  const args = ["--decompress", "--stdout", "--threads=1"];
  const { signal } = new AbortController();
  const output = decodeInParallel(input, { path: path ?? "", args, signal, processors: 2 });
  if (!output) throw new Error("there are no pipes here");
  return output;
}

async function decoded(bytes: Buffer): Promise<Buffer> {
  const pieces: Buffer[] = [];
  // Copied: whoever reads may give the buffer back.
  for await (const piece of start(inPieces(bytes))) pieces.push(Buffer.from(piece as Buffer));
  return Buffer.concat(pieces);
}

/** Pieces of odd sizes, so that borders fall anywhere. */
function inPieces(bytes: Buffer): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0, size = 1; at < bytes.length; at += size, size = ((size * 7 + 3) % 70_001) + 1) {
    pieces.push(bytes.subarray(at, at + size));
  }
  return Readable.from(pieces);
}

/** As `xz -T0` writes it unless the arguments say otherwise: each block says its sizes. */
async function packed(bytes: Buffer, ...args: string[]): Promise<Buffer> {
  const running = promisify(execFile)("xz", ["-0", "-T2", "--stdout", ...args], {
    encoding: "buffer",
    maxBuffer: 128 * MIB,
  });
  running.child.stdin?.end(bytes);
  return (await running).stdout;
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x10, at);
  return copy;
}

const indexStart = (bytes: Buffer): number => bytes.length - 12 - (bytes.readUInt32LE(bytes.length - 8) + 1) * 4;

/** The first block says that it unpacks to a byte more; its header's checksum is right. */
function lying(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const end = 12 + copy.readUInt8(12) * 4;
  // Size, flags, the compressed size in three or four bytes of seven bits each, then the other.
  let at = 14;
  while (copy.readUInt8(at) >= 0x80) at += 1;
  copy.writeUInt8(copy.readUInt8(at + 1) ^ 1, at + 1);
  copy.writeUInt32LE(crc32(copy.subarray(12, end)), end);
  return copy;
}
