// Reads the head of a stream and gives the stream back whole.
import type { Readable } from "node:stream";
import { destroyWhole } from "./destroy-whole.ts";
import { pulledStream } from "./pulled.ts";

export interface Peeked {
  /** Up to the bytes asked for; fewer only when the stream is shorter. */
  head: Buffer;
  /** All bytes, the head too. Errors of the input are its errors; its close comes after the input's. */
  rest: Readable;
}

/** @throws whatever the stream fails with before the head is there; the input is closed then */
export async function peek(input: Readable, headBytes: number): Promise<Peeked> {
  const chunks: Buffer[] = [];
  let length = 0;
  const iterator = input[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  try {
    while (length < headBytes) {
      const { value } = await iterator.next();
      if (value === undefined) break;
      chunks.push(value);
      length += value.length;
    }
  } catch (cause) {
    await destroyWhole(input);
    throw cause;
  }
  const head = Buffer.concat(chunks);
  return { head: head.subarray(0, headBytes), rest: pulledStream(headThenRest(head, iterator), { behind: input }) };
}

async function* headThenRest(head: Buffer, rest: AsyncIterator<Buffer, undefined>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
