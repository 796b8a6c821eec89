// Reads the head of a stream and gives the stream back whole.
import { Readable } from "node:stream";

export interface Peeked {
  /** Up to the bytes asked for; fewer only when the stream is shorter. */
  head: Buffer;
  /** All bytes, the head too. Errors of the input are its errors; destroying it destroys the input. */
  rest: Readable;
}

/** @throws whatever the stream fails with before the head is there */
export async function peek(input: Readable, headBytes: number): Promise<Peeked> {
  const chunks: Buffer[] = [];
  let length = 0;
  const iterator = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let isOver = false;
  while (length < headBytes && !isOver) {
    const { value, done } = await iterator.next();
    if (done) isOver = true;
    else {
      chunks.push(value);
      length += value.length;
    }
  }
  const head = Buffer.concat(chunks);
  async function* whole(): AsyncGenerator<Buffer> {
    try {
      if (head.length > 0) yield head;
      while (!isOver) {
        const { value, done } = await iterator.next();
        if (done) return;
        yield value;
      }
    } finally {
      if (!input.readableEnded) input.destroy();
    }
  }
  return {
    head: head.subarray(0, headBytes),
    rest: Readable.from(whole(), { objectMode: false, highWaterMark: 2 * 1024 * 1024 }),
  };
}
