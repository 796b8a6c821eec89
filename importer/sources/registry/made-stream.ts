// A stream over a generator with something open behind it: destroying the stream lets go of that first, and the stream closes
// only when the generator has ended.
import { Readable } from "node:stream";
import { faultOf } from "../../../src/lib/faults.ts";

export interface MadeBytes {
  readonly bytes: AsyncGenerator<Buffer>;
  /** Lets go of what is open, also while the generator waits for it. Called at the end too, and may be called twice. */
  release(): Promise<void>;
}

/** Aborting the signal destroys it. */
export const madeStream = (made: MadeBytes, signal: AbortSignal): Readable => new MadeStream(made, signal);

class MadeStream extends Readable {
  readonly #made: MadeBytes;
  readonly #unlink: () => void;
  #step: Promise<unknown> = Promise.resolve();

  constructor(made: MadeBytes, signal: AbortSignal) {
    // One piece at a time, so that an error never overtakes bytes before it.
    super({ highWaterMark: 1 });
    this.#made = made;
    const onAbort = (): void => void this.destroy(signal.reason as Error);
    signal.addEventListener("abort", onAbort);
    this.#unlink = () => signal.removeEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
  }

  override _read(): void {
    this.#step = this.#made.bytes.next().then(
      ({ value, done }) => {
        if (done) this.#unlink();
        return void this.push(done ? null : value);
      },
      (cause: unknown) => void this.destroy(cause instanceof Error ? cause : faultOf(cause)),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#unlink();
    void Promise.all([this.#made.release(), this.#step])
      .then(() => this.#made.bytes.return(undefined))
      // What it failed with has no reader any more.
      .catch(() => undefined)
      .then(() => done(error));
  }
}
