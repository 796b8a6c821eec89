// Small chunks gathered into large buffers, which are handed on one after the other as parts.
import { handOn, largeBuffer, largeBytes } from "./buffers.ts";
import { collectNowAndThen } from "./collect-young.ts";

/** Less than this is handed on as a copy: it is no reason to give away a large buffer. */
export const smallBytes = 128 * 1024;

export class GatheredParts {
  /** Whole ones, in order; behind them is what is gathered. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;

  /** All that is held here. */
  get bytes(): number {
    return this.#partsBytes + this.#gatheredBytes;
  }

  /** Copies the chunk: its memory is its owner's again. @returns whether a part has become whole */
  add(chunk: Buffer): boolean {
    const before = this.#parts.length;
    for (let taken = 0; taken < chunk.length;) {
      this.#gathered ??= largeBuffer();
      const copied = chunk.copy(this.#gathered, this.#gatheredBytes, taken);
      taken += copied;
      this.#gatheredBytes += copied;
      if (this.#gatheredBytes === largeBytes) this.close();
    }
    return this.#parts.length > before;
  }

  /** Takes a part that is whole already, behind what is gathered. */
  addWhole(part: Buffer): void {
    this.close();
    this.#push(part);
  }

  /** What is gathered becomes a part, however little it is. */
  close(): void {
    const whole = this.#gathered;
    const length = this.#gatheredBytes;
    if (!whole || length === 0) return;
    this.#gatheredBytes = 0;
    if (length < smallBytes) {
      collectNowAndThen(length);
      return this.#push(Buffer.from(whole.subarray(0, length)));
    }
    this.#gathered = undefined;
    this.#push(handOn(whole, length));
  }

  /** The next whole part: its reader gives it back (buffers.ts). */
  take(): Buffer | undefined {
    const part = this.#parts.shift();
    this.#partsBytes -= part?.length ?? 0;
    return part;
  }

  /** Forgets all of it. */
  drop(): void {
    this.#parts = [];
    this.#partsBytes = 0;
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
  }

  #push(part: Buffer): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
  }
}
