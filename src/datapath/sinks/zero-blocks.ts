// Zero detection: the 4 KiB blocks of a buffer, aligned to the target, that are worth writing.

/** Granularity of holes, bytes: the block of common file systems and the page of common kernels. */
export const BLOCK_BYTES = 4096;
export const MIB = 1024 * 1024;
/** A MiB of zeros, shared: only read from it. */
export const zeroMiB: Buffer = Buffer.alloc(MIB);

/** Whether `length` bytes from `start` are all zero. A native compare, which stops at the first byte that is not. */
export function isZero(bytes: Buffer, start = 0, length = bytes.length - start): boolean {
  for (let at = start, left = length; left > 0;) {
    const piece = Math.min(left, MIB);
    // Most data shows itself at once: this look is cheaper than the call.
    if (bytes[at] !== 0 || bytes[at + piece - 1] !== 0) return false;
    if (zeroMiB.compare(bytes, at, at + piece, 0, piece) !== 0) return false;
    at += piece;
    left -= piece;
  }
  return true;
}

/** Start and end within a buffer, bytes; end excluded. */
export interface Run {
  start: number;
  end: number;
}

/**
 * The stretches of `bytes`, which go to `offset`, that must be written. Pieces are cut at block borders of the target.
 * @param mustWrite asked for a piece that is all zero, with its block's number: whether it has to be written all the same
 */
export function dataRuns(bytes: Buffer, offset: number, mustWrite: (block: number) => boolean): Run[] {
  const runs: Run[] = [];
  for (let start = 0; start < bytes.length;) {
    const block = Math.floor((offset + start) / BLOCK_BYTES);
    const end = Math.min(bytes.length, (block + 1) * BLOCK_BYTES - offset);
    if (!isZero(bytes, start, end - start) || mustWrite(block)) {
      const last = runs.at(-1);
      if (last?.end === start) last.end = end;
      else runs.push({ start, end });
    }
    start = end;
  }
  return runs;
}
