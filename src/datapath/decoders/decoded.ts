// What every decoder shares: it is fed its input to the very end, and its errors are Faults that blame the right side.
import { Readable, type Writable } from "node:stream";
import { Fault } from "../../lib/faults.ts";
import { destroyWhole } from "../destroy-whole.ts";

export interface Decoder {
  /** Named in messages. */
  readonly name: string;
  /** Takes the encoded bytes. */
  readonly writable: Writable;
  /** Gives the decoded ones. May be the same stream. */
  readonly readable: Readable;
  /** Asked at the end and after an error of the decoder. @returns what was wrong with the bytes */
  verdict(cause: unknown): Promise<Fault | undefined> | Fault | undefined;
  /** Ends whatever decodes; resolves when it is gone. Never rejects. */
  release(): Promise<void>;
}

/** The decoded bytes. An error of the input stays the input's own. Its close comes after the decoder's and the input's. */
export const decodedStream = (input: Readable, decoder: Decoder): Readable => new Decoded(input, decoder);

export const corrupt = (name: string, complaint: string, cause?: unknown): Fault =>
  new Fault("ImageCorrupt", `unable to decompress ${name}: ${complaint}`, { cause });

/** Asks for the next bytes only when it holds none, so that an error never overtakes them. */
class Decoded extends Readable {
  readonly #input: Readable;
  readonly #decoder: Decoder;
  readonly #feeding: Promise<unknown>;
  readonly #iterator: AsyncIterator<Buffer, undefined>;

  constructor(input: Readable, decoder: Decoder) {
    super({ highWaterMark: 1 });
    this.#input = input;
    this.#decoder = decoder;
    this.#iterator = decoder.readable[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    this.#feeding = feed(input, decoder.writable);
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk ?? null),
      (cause: unknown) => this.destroy(cause as Error),
    );
  }

  async #next(): Promise<Buffer | undefined> {
    let failure: unknown;
    try {
      const { value } = await this.#iterator.next();
      if (value !== undefined) return value;
    } catch (cause) {
      failure = cause;
    }
    const complaint = await this.#decoder.verdict(failure);
    // After a complaint nobody reads the input any more.
    if (complaint || failure) this.#input.destroy();
    const inputFailure = await this.#feeding;
    if (inputFailure) throw inputFailure;
    if (complaint) throw complaint;
    if (failure) throw failure;
    return undefined;
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    void Promise.all([this.#decoder.release(), destroyWhole(this.#input)]).then(() => done(error));
  }
}

/**
 * Hands the decoder all bytes. What it does not want, because its last member has ended, is read all the same: the checksum
 * and the length are those of the whole source.
 * @returns the input's error, when it failed of itself
 */
async function feed(input: Readable, decoder: Writable): Promise<unknown> {
  let isOpen = true;
  const wake = new Set<() => void>();
  const over = (): void => {
    isOpen = false;
    for (const one of wake) one();
  };
  // Its own error is told by its output, or by the tool's exit status.
  decoder.on("error", over).once("close", over);
  if (decoder instanceof Readable) decoder.once("end", over);
  decoder.on("drain", () => wake.forEach((one) => one()));
  try {
    for await (const chunk of input) {
      if (!isOpen || decoder.write(chunk)) continue;
      await new Promise<void>((resolve) => {
        const woken = (): void => {
          wake.delete(woken);
          resolve();
        };
        wake.add(woken);
        if (!isOpen) woken();
      });
    }
    if (isOpen) decoder.end();
    return undefined;
  } catch (cause) {
    decoder.destroy();
    // Destroyed by us, from behind: no failure of the input.
    return input.errored ?? undefined;
  }
}
