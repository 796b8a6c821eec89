// Reads the head of a stream and gives the stream back whole.
import { Readable } from "node:stream";
import { destroyWhole } from "./destroy-whole.ts";

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
  return { head: head.subarray(0, headBytes), rest: new Rest(head, iterator, input) };
}

/**
 * Not Readable.from: that one lets go of its input only after it was read from, and waits for the input's next bytes first.
 * It asks for the next bytes only when it holds none, so that an error never overtakes them.
 */
class Rest extends Readable {
  #head: Buffer;
  readonly #iterator: AsyncIterator<Buffer, undefined>;
  readonly #input: Readable;

  constructor(head: Buffer, iterator: AsyncIterator<Buffer, undefined>, input: Readable) {
    super({ highWaterMark: 1 });
    this.#head = head;
    this.#iterator = iterator;
    this.#input = input;
  }

  override _read(): void {
    const head = this.#head;
    if (head.length > 0) {
      this.#head = head.subarray(head.length);
      this.push(head);
      return;
    }
    this.#iterator.next().then(
      ({ value }) => this.push(value ?? null),
      (cause: unknown) => this.destroy(cause as Error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    void destroyWhole(this.#input).then(() => done(error));
  }
}
