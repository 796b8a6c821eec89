// Which 4 KiB blocks of a target were written: a bitmap in pieces of 1 GiB, so at most 32 MiB of memory per TiB touched.

const CHUNK_BLOCKS = 1 << 18;

/** Block numbers, end excluded. */
export interface BlockRange {
  start: number;
  end: number;
}

export class BlockMap {
  readonly #chunks = new Map<number, Uint8Array>();

  has(block: number): boolean {
    const bits = this.#chunks.get(Math.floor(block / CHUNK_BLOCKS));
    if (!bits) return false;
    const at = block % CHUNK_BLOCKS;
    return ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  /** Sets or clears the blocks from `start` up to `end`, excluded. */
  mark(start: number, end: number, written = true): void {
    for (let at = start; at < end;) {
      const chunk = Math.floor(at / CHUNK_BLOCKS);
      const stop = Math.min(end, (chunk + 1) * CHUNK_BLOCKS);
      const bits = this.#chunks.get(chunk);
      if (bits) setBits(bits, at % CHUNK_BLOCKS, stop - chunk * CHUNK_BLOCKS, written);
      else if (written) {
        const fresh = new Uint8Array(CHUNK_BLOCKS / 8);
        setBits(fresh, at % CHUNK_BLOCKS, stop - chunk * CHUNK_BLOCKS, true);
        this.#chunks.set(chunk, fresh);
      }
      at = stop;
    }
  }

  /** The runs of blocks between `start` and `end` whose mark is `written`, in order, as long as they go. */
  *runs(start: number, end: number, written: boolean): Generator<BlockRange> {
    let open: BlockRange | undefined;
    for (let at = start; at < end;) {
      const same = this.#sameUntil(at, end);
      if (this.has(at) === written) {
        if (open) open.end = same;
        else open = { start: at, end: same };
      } else if (open) {
        yield open;
        open = undefined;
      }
      at = same;
    }
    if (open) yield open;
  }

  clear(): void {
    this.#chunks.clear();
  }

  /** The end of a stretch from `at` that is marked alike: a whole chunk or byte where possible. */
  #sameUntil(at: number, end: number): number {
    const chunk = Math.floor(at / CHUNK_BLOCKS);
    const chunkStart = chunk * CHUNK_BLOCKS;
    const stop = Math.min(end, chunkStart + CHUNK_BLOCKS);
    const bits = this.#chunks.get(chunk);
    if (!bits) return stop;
    const marked = this.has(at);
    const full = marked ? 0xff : 0;
    let next = at + 1;
    while (next < stop) {
      const inside = next - chunkStart;
      if ((inside & 7) === 0 && bits[inside >> 3] === full) next += 8;
      else if (this.has(next) === marked) next += 1;
      else break;
    }
    return Math.min(next, stop);
  }
}

function setBits(bits: Uint8Array, start: number, end: number, on: boolean): void {
  for (let at = start; at < end;) {
    if ((at & 7) === 0 && end - at >= 8) {
      const bytes = (end - at) >> 3;
      bits.fill(on ? 0xff : 0, at >> 3, (at >> 3) + bytes);
      at += bytes * 8;
      continue;
    }
    const mask = 1 << (at & 7);
    bits[at >> 3] = on ? (bits[at >> 3] ?? 0) | mask : (bits[at >> 3] ?? 0) & ~mask;
    at += 1;
  }
}
