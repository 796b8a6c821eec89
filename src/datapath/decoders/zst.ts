// zst by node's zlib, frame by frame, so that each frame's end is known.
import type { Readable } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";
import { giveBack } from "../../lib/buffers.ts";
import { Fault } from "../../lib/faults.ts";
import { pulledStream } from "../pulled.ts";
import { Engine } from "./engine.ts";
import type { Decode } from "./index.ts";
import type { DecodeResume } from "./point.ts";
import { ZstFrames } from "./zst-frames.ts";

/** The window of `zstd --long=27`, 128 MiB: what decoding may take of memory. */
const largestWindowLog = 27;

const damaged = (detail: string, cause?: unknown): Fault =>
  new Fault("ImageCorrupt", `unable to decompress zst: ${detail}`, { cause });

export const decodeZst: Decode = (input, _signal, _log, resume = {}) =>
  pulledStream(frames(input, resume), { behind: input });

async function* frames(input: Readable, { from, onPoint }: DecodeResume): AsyncGenerator<Buffer> {
  let inputBytes = from?.inputBytes ?? 0;
  let outputBytes = from?.outputBytes ?? 0;
  const walk = new ZstFrames();
  const params = { [constants.ZSTD_d_windowLogMax]: largestWindowLog };
  const engine = new Engine(createZstdDecompress({ params }), ({ length }) => (outputBytes += length));
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length;) {
        const end = at + walk.endOfFrame(chunk.subarray(at));
        if (walk.isStray) throw damaged("bytes that are no frame follow the data");
        // It stops at the end of a frame, and sometimes before: then it is to be asked again.
        for (let before = -1; at < end && at > before;) {
          before = at;
          at += yield* engine.decode(chunk.subarray(at, end));
        }
        if (at < end) throw damaged("data that goes on behind its end");
        if (walk.isBetween) onPoint?.({ inputBytes: inputBytes + at, outputBytes });
      }
      inputBytes += chunk.length;
      giveBack(chunk);
    }
    yield* engine.rest();
    if (!walk.isBetween) throw damaged("unexpected end of the stream");
  } catch (cause) {
    throw faultOfEngine(cause);
  } finally {
    engine.close();
  }
}

function faultOfEngine(cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ZSTD_error_frameParameter_windowTooLarge") {
    const detail = `its window is over ${2 ** (largestWindowLog - 20)} MiB: compress it with --long=${largestWindowLog} or less`;
    return new Fault("ImageRefused", `unable to decompress zst: ${detail}`, { cause });
  }
  return code?.startsWith("ZSTD_") || code?.startsWith("Z_") ? damaged((cause as Error).message, cause) : cause;
}
