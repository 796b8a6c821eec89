// gz by node's inflate, member by member. Node's own gunzip fails on anything behind the last member, and then loses output
// it already had; gzip takes zero padding and ignores other bytes with a warning, and so do we.
import type { Readable } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { Fault } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import { pulledStream } from "../pulled.ts";
import { isZero } from "../sinks/zero-blocks.ts";
import { chunkReader, type ChunkReader } from "./chunk-reader.ts";
import { Engine } from "./engine.ts";
import type { Decode } from "./index.ts";
import type { DecodeResume } from "./point.ts";

/** A name or comment in a member's header may be this long. */
const longestText = 64 * 1024;
const flags = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 } as const;

const damaged = (detail: string, cause?: unknown): Fault =>
  new Fault("ImageCorrupt", `unable to decompress gz: ${detail}`, { cause });
const cutShort = (): Fault => damaged("unexpected end of the stream");

export const decodeGz: Decode = (input, _signal, log, resume = {}) =>
  pulledStream(members(input, log, resume), { behind: input });

async function* members(input: Readable, log: Log, { from, onPoint }: DecodeResume): AsyncGenerator<Buffer> {
  const reader = chunkReader(input, true);
  const inputBefore = from?.inputBytes ?? 0;
  let outputBytes = from?.outputBytes ?? 0;
  const sum = { crc: 0, lengthBytes: 0 };
  const engine = new Engine(createInflateRaw(), (bytes) => {
    sum.crc = crc32(bytes, sum.crc);
    sum.lengthBytes += bytes.length;
  });
  try {
    // The first has to be there; a point may be the end of the last.
    let isNext = !from || (await hasAnotherMember(reader, log));
    while (isNext) {
      Object.assign(sum, { crc: 0, lengthBytes: 0 });
      yield* member(reader, engine);
      await checkTrailer(reader, sum.crc, sum.lengthBytes);
      outputBytes += sum.lengthBytes;
      onPoint?.({ inputBytes: inputBefore + reader.position, outputBytes });
      isNext = await hasAnotherMember(reader, log);
    }
    yield* engine.rest();
  } catch (cause) {
    throw faultOfEngine(cause);
  } finally {
    engine.close();
  }
}

/** Up to its trailer. Its last output may stay in the engine. */
async function* member(reader: ChunkReader, engine: Engine): AsyncGenerator<Buffer> {
  await skipHeader(reader);
  engine.reset();
  for (;;) {
    const chunk = await reader.next();
    if (!chunk) {
      // Who looks at the head alone has all of it by now.
      yield* engine.rest();
      throw cutShort();
    }
    const used = yield* engine.decode(chunk);
    if (used === chunk.length) continue;
    return reader.putBack(chunk.subarray(used));
  }
}

async function checkTrailer(reader: ChunkReader, crc: number, lengthBytes: number): Promise<void> {
  const trailer = await reader.take(8);
  if (trailer.length < 8) throw cutShort();
  if (trailer.readUInt32LE(0) !== crc) throw damaged("crc error");
  if (trailer.readUInt32LE(4) !== lengthBytes % 2 ** 32) throw damaged("length error");
}

function faultOfEngine(cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  return code?.startsWith("Z_") ? damaged((cause as Error).message, cause) : cause;
}

/** RFC 1952, 2.3. */
async function skipHeader(reader: ChunkReader): Promise<void> {
  const fixed = await take(reader, 10);
  if (fixed.readUInt16BE(0) !== 0x1f8b) throw damaged("no gz member");
  if (fixed[2] !== 8) throw damaged(`unknown method ${fixed[2]}`);
  const bits = fixed.readUInt8(3);
  if (bits & flags.reserved) throw damaged("unknown header flags");
  if (bits & flags.extra) await take(reader, (await take(reader, 2)).readUInt16LE(0));
  if (bits & flags.name) await skipText(reader);
  if (bits & flags.comment) await skipText(reader);
  if (bits & flags.headerCrc) await take(reader, 2);
}

async function skipText(reader: ChunkReader): Promise<void> {
  for (let passedBytes = 0; passedBytes < longestText;) {
    const chunk = await reader.next();
    if (!chunk) throw cutShort();
    const end = chunk.indexOf(0);
    if (end >= 0) return reader.putBack(chunk.subarray(end + 1));
    passedBytes += chunk.length;
  }
  throw damaged("a name that does not end");
}

async function take(reader: ChunkReader, count: number): Promise<Buffer> {
  const bytes = await reader.take(count);
  if (bytes.length < count) throw cutShort();
  return bytes;
}

/** Reads to the very end when there is none: a checksum is over all bytes that were sent. */
async function hasAnotherMember(reader: ChunkReader, log: Log): Promise<boolean> {
  const start = await reader.take(2);
  if (start.length === 2 && start.readUInt16BE(0) === 0x1f8b) {
    reader.putBack(start);
    return true;
  }
  let strayBytes = start.some((byte) => byte !== 0) ? start.length : 0;
  for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
    if (strayBytes > 0 || !isZero(chunk, 0, chunk.length)) strayBytes += chunk.length;
  }
  if (strayBytes > 0) log.warn("Ignoring bytes behind the compressed data", { compression: "gz", strayBytes });
  return false;
}
