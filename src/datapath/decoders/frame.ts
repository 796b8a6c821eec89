// One frame of several in a row through one of node's decoders, which stop at a frame's end and leave the rest lying.
import type { Transform } from "node:stream";
import type { ChunkReader } from "./chunk-reader.ts";

/** A decoder of node:zlib: `bytesWritten` counts the input it has used up. */
type Engine = Transform & { readonly bytesWritten: number };

/**
 * Feeds the engine until its frame ends; bytes behind the frame are put back.
 * @throws the engine's error, or the input's own
 */
export async function* decodeFrame(engine: Engine, reader: ChunkReader): AsyncGenerator<Buffer> {
  let inputError: unknown;
  const feeding = feed(engine, reader).catch((cause: unknown) => {
    inputError = cause;
    engine.destroy(cause instanceof Error ? cause : new Error(String(cause)));
  });
  try {
    for await (const piece of engine) yield piece as Buffer;
    await feeding;
  } catch (cause) {
    throw inputError ?? cause;
  } finally {
    engine.destroy();
  }
}

/** Network pieces are small, and each trip through the engine costs the same. */
const gatheredBytes = 256 * 1024;

async function gather(reader: ChunkReader): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  for (let length = 0; length < gatheredBytes;) {
    const chunk = await reader.next();
    if (!chunk) break;
    chunks.push(chunk);
    length += chunk.length;
  }
  return chunks.length > 1 ? Buffer.concat(chunks) : chunks[0];
}

async function feed(engine: Engine, reader: ChunkReader): Promise<void> {
  const over = new Promise<void>((resolve) => engine.once("end", resolve).once("close", resolve));
  for (let fedBytes = 0; ;) {
    const chunk = await gather(reader);
    if (engine.destroyed) return;
    if (!chunk) {
      engine.end();
      return;
    }
    fedBytes += chunk.length;
    // At the end of a frame inside the chunk the engine ends without ever calling back.
    const used = new Promise<void>((resolve) => engine.write(chunk, () => resolve()));
    await Promise.race([used, over]);
    const leftBytes = fedBytes - engine.bytesWritten;
    if (leftBytes === 0) continue;
    if (!engine.errored) reader.putBack(chunk.subarray(chunk.length - leftBytes));
    return;
  }
}
