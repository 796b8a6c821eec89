// How quickly one stream came, and how much of that time its reader waited for it.
import type { Stretch } from "./window-plan.ts";

export class Pace {
  readonly #nowMs: () => number;
  #begunMs: number;
  #bytes = 0;
  #waitedMs = 0;

  /** @param nowMs only rises */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#begunMs = nowMs();
  }

  async waitFor<T>(bytes: Promise<T>): Promise<T> {
    const begunMs = this.#nowMs();
    const got = await bytes;
    this.#waitedMs += this.#nowMs() - begunMs;
    return got;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /** @returns what was seen since the last one, once it is so many bytes */
  take(leastBytes: number): Stretch | undefined {
    if (this.#bytes < leastBytes) return undefined;
    const nowMs = this.#nowMs();
    const stretch = { bytes: this.#bytes, ms: nowMs - this.#begunMs, waitedMs: this.#waitedMs };
    this.#begunMs = nowMs;
    this.#bytes = this.#waitedMs = 0;
    return stretch;
  }
}
