// Bytes of a stream by the piece or by the count, with a way to hand back what was too much: for formats whose parts follow
// one another without a length in front.
import { giveBack } from "../../lib/buffers.ts";

export interface ChunkReader {
  /** Bytes handed out so far, without those put back. */
  readonly position: number;
  /** The next bytes, as they come; undefined at the end. */
  next(): Promise<Buffer | undefined>;
  /** Exactly so many bytes, fewer only at the end. Not meant for more than a header's worth. */
  take(count: number): Promise<Buffer>;
  /** Puts bytes back in front. */
  putBack(bytes: Buffer): void;
}

/**
 * @param givesBack the bytes of `next` are of no use any more when it is called again
 * @throws (each of its functions) whatever the input fails with
 */
export function chunkReader(input: AsyncIterable<Buffer>, givesBack = false): ChunkReader {
  const iterator = input[Symbol.asyncIterator]();
  let waiting: Buffer | undefined;
  /** Came last from the input; nothing of it waits. */
  let lastGiven: Buffer | undefined;
  let position = 0;
  const reader: ChunkReader = {
    get position() {
      return position;
    },
    async next() {
      let bytes = waiting;
      waiting = undefined;
      while (!bytes || bytes.length === 0) {
        if (lastGiven && givesBack) giveBack(lastGiven);
        const { value, done } = await iterator.next();
        lastGiven = value;
        if (done) return undefined;
        bytes = value;
      }
      position += bytes.length;
      return bytes;
    },
    async take(count) {
      const parts: Buffer[] = [];
      let missing = count;
      while (missing > 0) {
        const chunk = await reader.next();
        if (!chunk) break;
        // A copy: the next chunk may come in the memory of this one.
        parts.push(Buffer.from(chunk.subarray(0, missing)));
        if (chunk.length > missing) reader.putBack(chunk.subarray(missing));
        missing -= Math.min(missing, chunk.length);
      }
      return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    },
    putBack(bytes) {
      if (bytes.length === 0) return;
      position -= bytes.length;
      waiting = waiting ? Buffer.concat([bytes, waiting]) : bytes;
    },
  };
  return reader;
}
