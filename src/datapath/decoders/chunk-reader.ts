// Bytes of a stream by the piece or by the count, with a way to hand back what was too much: for formats whose parts follow
// one another without a length in front.

export interface ChunkReader {
  /** The next bytes, as they come; undefined at the end. */
  next(): Promise<Buffer | undefined>;
  /** Exactly so many bytes, fewer only at the end. Not meant for more than a header's worth. */
  take(count: number): Promise<Buffer>;
  /** Puts bytes back in front. */
  putBack(bytes: Buffer): void;
}

/** @throws (each of its functions) whatever the input fails with */
export function chunkReader(input: AsyncIterable<Buffer>): ChunkReader {
  const iterator = input[Symbol.asyncIterator]();
  let waiting: Buffer | undefined;
  const reader: ChunkReader = {
    async next() {
      if (waiting) {
        const bytes = waiting;
        waiting = undefined;
        return bytes;
      }
      for (;;) {
        const { value, done } = await iterator.next();
        if (done) return undefined;
        if (value.length > 0) return value;
      }
    },
    async take(count) {
      const parts: Buffer[] = [];
      let missing = count;
      while (missing > 0) {
        const chunk = await reader.next();
        if (!chunk) break;
        parts.push(chunk.subarray(0, missing));
        if (chunk.length > missing) reader.putBack(chunk.subarray(missing));
        missing -= Math.min(missing, chunk.length);
      }
      return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    },
    putBack(bytes) {
      if (bytes.length === 0) return;
      waiting = waiting ? Buffer.concat([bytes, waiting]) : bytes;
    },
  };
  return reader;
}
