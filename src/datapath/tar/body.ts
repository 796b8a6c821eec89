// The body of one tar entry: its stored bytes in their places, holes as zeros, and whatever was not read passed over.
import type { ChunkReader } from "../decoders/chunk-reader.ts";
import { zeroMiB } from "../sinks/zero-blocks.ts";
import { damaged, type TarExtent, type TarPiece } from "./entry.ts";
import { blockBytes } from "./header.ts";

export interface BodyPlan {
  readonly sizeBytes: number;
  readonly storedBytes: number;
  /** Together as long as `storedBytes`. */
  readonly extents: readonly TarExtent[];
  /** For messages. */
  readonly name: string;
}

export interface EntryBody {
  whole(): AsyncGenerator<Buffer>;
  pieces(): AsyncGenerator<TarPiece>;
  /** What is left of the stored bytes, and the padding. */
  passOver(): Promise<void>;
}

export function readBody(reader: ChunkReader, plan: BodyPlan): EntryBody {
  let leftBytes = plan.storedBytes;
  let isTaken = false;

  const next = async (most: number): Promise<Buffer> => {
    const chunk = await reader.next();
    if (!chunk) throw damaged(`it ends within ${JSON.stringify(plan.name.slice(0, 200))}`);
    if (chunk.length > most) reader.putBack(chunk.subarray(most));
    const bytes = chunk.length > most ? chunk.subarray(0, most) : chunk;
    leftBytes -= bytes.length;
    return bytes;
  };

  async function* pieces(): AsyncGenerator<TarPiece> {
    if (isTaken) throw new Error("the body of a tar entry is read once");
    isTaken = true;
    for (const { offset, length } of plan.extents) {
      for (let done = 0; done < length;) {
        const bytes = await next(length - done);
        yield { offset: offset + done, bytes };
        done += bytes.length;
      }
    }
  }

  async function* whole(): AsyncGenerator<Buffer> {
    let at = 0;
    for await (const { offset, bytes } of pieces()) {
      yield* zerosFor(offset - at);
      yield bytes;
      at = offset + bytes.length;
    }
    yield* zerosFor(plan.sizeBytes - at);
  }

  return {
    whole,
    pieces,
    async passOver() {
      isTaken = true;
      while (leftBytes > 0) await next(leftBytes);
      const padding = (blockBytes - (plan.storedBytes % blockBytes)) % blockBytes;
      // Writers that leave out the padding of the last entry are read like any other.
      await reader.take(padding);
    },
  };
}

function* zerosFor(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= zeroMiB.length) yield zeroMiB.subarray(0, left);
}
