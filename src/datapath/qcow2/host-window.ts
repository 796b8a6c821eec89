// The part of the image file that the pass holds at the moment: bytes come in by the chunk and are looked at by the entry.

const MIB = 1024 * 1024;

export class HostWindow {
  readonly #buffer: Buffer;
  /** Where the held bytes begin and end in the buffer. */
  #from = 0;
  #to = 0;
  /** Host offset of the first byte held. */
  base = 0;

  /** @param longestEntryBytes what must fit at once */
  constructor(longestEntryBytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(2 * longestEntryBytes + MIB);
  }

  /** Host offset behind the last byte held. */
  get end(): number {
    return this.base + this.#to - this.#from;
  }

  /** @returns how many bytes of the chunk were taken: fewer than all when no more fit */
  append(chunk: Buffer): number {
    if (this.#to + chunk.length > this.#buffer.length && this.#from > 0) {
      this.#buffer.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
    }
    const taken = chunk.copy(this.#buffer, this.#to);
    this.#to += taken;
    return taken;
  }

  /** The bytes from `offset` up to `end`, excluded; good until the next append. */
  view(offset: number, end: number): Buffer {
    const start = this.#from + offset - this.base;
    return this.#buffer.subarray(start, Math.max(start, this.#from + Math.min(end, this.end) - this.base));
  }

  /** Lets go of everything below the offset. */
  dropBelow(offset: number): void {
    const count = Math.min(Math.max(0, offset - this.base), this.#to - this.#from);
    this.#from += count;
    this.base += count;
    if (this.#from === this.#to) this.#from = this.#to = 0;
  }

  /** Holds nothing, and goes on at the offset. */
  moveTo(offset: number): void {
    this.#from = this.#to = 0;
    this.base = offset;
  }
}
