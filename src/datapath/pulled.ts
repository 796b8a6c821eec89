// A stream over an iterator that lets go of what stands behind it whenever it is destroyed.
import { Readable } from "node:stream";
import { destroyWhole } from "./destroy-whole.ts";

export interface PulledOptions {
  /** The stream the bytes are made from, where it is one and the same from beginning to end. */
  behind?: Readable;
  /** Ends whatever else makes them, such as a tool; resolves when it is gone. Never rejects. */
  release?: () => Promise<void>;
}

/**
 * The bytes of the iterator. Closes only after `behind` has closed and `release` is through: then nothing works on.
 * Not Readable.from: that one lets go only after it was first read from, and waits for the next bytes before it does.
 */
export const pulledStream = (bytes: AsyncIterator<Buffer, unknown>, options: PulledOptions): Readable =>
  new Pulled(bytes, options);

/** It asks for the next bytes only when it holds none, so that an error never overtakes them. */
class Pulled extends Readable {
  readonly #bytes: AsyncIterator<Buffer, unknown>;
  readonly #options: PulledOptions;

  constructor(bytes: AsyncIterator<Buffer, unknown>, options: PulledOptions) {
    super({ highWaterMark: 1 });
    this.#bytes = bytes;
    this.#options = options;
  }

  override _read(): void {
    this.#bytes.next().then(
      ({ value, done }) => this.push(done ? null : value),
      (cause: unknown) => this.destroy(cause as Error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { behind, release } = this.#options;
    // The iterator may be waiting for bytes that never come: it is told to end after its sources have.
    void Promise.all([behind && destroyWhole(behind), release?.()])
      .then(() => this.#bytes.return?.())
      // What it failed with has no reader any more.
      .catch(() => undefined)
      .then(() => done(error));
  }
}
