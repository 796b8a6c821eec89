// The part of the image file that the pass holds at the moment: the chunk that came last, as it is, and before it a carried
// rest of earlier ones, copied, because the chunk's memory is its giver's again with the next one.

export class HostWindow {
  #carry: Buffer = Buffer.alloc(0);
  /** Where the carried bytes begin and end in their buffer; they lie right before the chunk in the file. */
  #from = 0;
  #to = 0;
  #chunk: Buffer = Buffer.alloc(0);
  /** Host offset of the chunk's first byte. */
  #chunkAt = 0;
  /** Host offset of the first byte held. */
  base = 0;

  /** Host offset behind the last byte held. */
  get end(): number {
    return this.#chunkAt + this.#chunk.length;
  }

  /** Copies what is still wanted of the chunk: its memory may be used anew after this. */
  settle(): void {
    this.#carryOver(this.#chunk.length);
  }

  /** Takes the next chunk of the file; the one before must be settled. */
  append(chunk: Buffer): void {
    this.#chunk = chunk;
  }

  /** The bytes from `offset` up to `end`, excluded, as far as they are held; those of the chunk are good until `settle`, others until the next view. */
  view(offset: number, end: number): Buffer {
    const stop = Math.min(end, this.end);
    if (offset < this.#chunkAt && stop > this.#chunkAt) this.#carryOver(stop - this.#chunkAt);
    if (offset >= this.#chunkAt) return this.#chunk.subarray(offset - this.#chunkAt, Math.max(0, stop - this.#chunkAt));
    const start = this.#to - (this.#chunkAt - offset);
    return this.#carry.subarray(start, Math.max(start, this.#to - (this.#chunkAt - stop)));
  }

  /** Whether the byte is one of those carried over: a view of them is good for less long. */
  isCarried(offset: number): boolean {
    return offset < this.#chunkAt;
  }

  /** The same bytes in one or two pieces, each with its offset, without a copy. */
  *pieces(offset: number, end: number): Generator<[number, Buffer]> {
    const border = Math.min(Math.max(offset, this.#chunkAt), end);
    if (border > offset) yield [offset, this.view(offset, border)];
    if (end > border) yield [border, this.view(border, end)];
  }

  /** Lets go of everything below the offset. */
  dropBelow(offset: number): void {
    this.base = Math.max(this.base, Math.min(offset, this.end));
    this.#from = Math.max(this.#from, this.#to - Math.max(0, this.#chunkAt - this.base));
    if (this.#from === this.#to) this.#from = this.#to = 0;
  }

  /** Holds nothing, and goes on at the offset. */
  moveTo(offset: number): void {
    this.#from = this.#to = 0;
    this.#chunk = this.#chunk.subarray(0, 0);
    this.base = this.#chunkAt = offset;
  }

  /** Moves the border between the two by so many bytes of the chunk. */
  #carryOver(count: number): void {
    const wanted = this.#chunk.subarray(Math.max(0, Math.min(count, this.base - this.#chunkAt)), count);
    if (wanted.length > 0) {
      this.#makeRoom(wanted.length);
      this.#to += wanted.copy(this.#carry, this.#to);
    }
    this.#chunk = this.#chunk.subarray(count);
    this.#chunkAt += count;
  }

  #makeRoom(count: number): void {
    const held = this.#to - this.#from;
    if (this.#to + count <= this.#carry.length) return;
    const old = this.#carry;
    if (held + count > old.length) this.#carry = Buffer.allocUnsafeSlow(2 * (held + count));
    old.copy(this.#carry, 0, this.#from, this.#to);
    this.#from = 0;
    this.#to = held;
  }
}
