// zst by node's zlib, frame by frame: its decoder stops after the first of several frames and says nothing of it.
import type { Readable } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";
import { Fault } from "../../lib/faults.ts";
import { pulledStream } from "../pulled.ts";
import { chunkReader } from "./chunk-reader.ts";
import { decodeFrame } from "./frame.ts";
import type { Decode } from "./index.ts";
import type { DecodeResume } from "./point.ts";

const pieceBytes = 1024 * 1024;
/** The window of `zstd --long=27`, 128 MiB: what decoding may take of memory. */
const largestWindowLog = 27;
const frameMagic = 0xfd2fb528;
/** Sixteen magics in a row, of frames without data: pzstd and the seekable format write them. */
const skippableMagic = 0x184d2a50;

const damaged = (detail: string, cause?: unknown): Fault =>
  new Fault("ImageCorrupt", `unable to decompress zst: ${detail}`, { cause });

export const decodeZst: Decode = (input, _signal, _log, resume = {}) =>
  pulledStream(frames(input, resume), { behind: input });

async function* frames(input: Readable, { from, onPoint }: DecodeResume): AsyncGenerator<Buffer> {
  const reader = chunkReader(input);
  const inputBefore = from?.inputBytes ?? 0;
  let outputBytes = from?.outputBytes ?? 0;
  for (;;) {
    const magic = await reader.take(4);
    if (magic.length === 0) return;
    if (!startsFrame(magic)) throw damaged("bytes that are no frame follow the data");
    reader.putBack(magic);
    const params = { [constants.ZSTD_d_windowLogMax]: largestWindowLog };
    try {
      for await (const piece of decodeFrame(createZstdDecompress({ chunkSize: pieceBytes, params }), reader)) {
        outputBytes += piece.length;
        yield piece;
      }
    } catch (cause) {
      throw faultOfEngine(cause);
    }
    onPoint?.({ inputBytes: inputBefore + reader.position, outputBytes });
  }
}

function startsFrame(magic: Buffer): boolean {
  if (magic.length < 4) throw damaged("unexpected end of the stream");
  const word = magic.readUInt32LE(0);
  return word === frameMagic || (word & 0xffff_fff0) >>> 0 === skippableMagic;
}

function faultOfEngine(cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ZSTD_error_frameParameter_windowTooLarge") {
    const detail = `its window is over ${2 ** (largestWindowLog - 20)} MiB: compress it with --long=${largestWindowLog} or less`;
    return new Fault("ImageRefused", `unable to decompress zst: ${detail}`, { cause });
  }
  if (code === "Z_BUF_ERROR") return damaged("unexpected end of the stream");
  return code?.startsWith("ZSTD_") || code?.startsWith("Z_") ? damaged((cause as Error).message, cause) : cause;
}
