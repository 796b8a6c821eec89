// Large buffers that go round: whoever fills one hands it on, and whoever has done with the bytes gives it back. A fresh MiB
// costs 256 page faults and waits for the collector, which at a GiB a second is more than decoding costs. They begin at a page's
// border, so that what is filled into them in step with the target can be written past the page cache (sinks/direct-writes.ts).
import { collectNowAndThen } from "./collect-young.ts";
import { syscalls } from "./syscalls.ts";

/** Size of every buffer here. */
export const largeBytes = 1024 * 1024;
/** Buffers kept for later; a road has a few under way. */
const mostKept = 16;

interface Loan {
  readonly whole: Buffer;
  /** Who still reads the part. */
  readers: number;
  /** Who still reads a piece of it, beside them. */
  holds: number;
}

const kept: Buffer[] = [];
const lent = new WeakMap<Uint8Array, Loan>();
/** The same loans by the memory that the parts are of. */
const lentMemory = new WeakMap<ArrayBufferLike, Loan>();

/** Its bytes are whatever the last user left. */
export function largeBuffer(): Buffer {
  const old = kept.pop();
  if (old) return old;
  collectNowAndThen(largeBytes);
  const calls = syscalls();
  const roomy = Buffer.allocUnsafeSlow(largeBytes + calls.pageBytes);
  const place = calls.placeInPage(roomy) ?? 0;
  const start = place === 0 ? 0 : calls.pageBytes - place;
  return roomy.subarray(start, start + largeBytes);
}

/** Marks the part of a large buffer that is handed on: giving back the part gives back the buffer. */
export function handOn(whole: Buffer, end: number, start = 0): Buffer {
  const part = whole.subarray(start, end);
  const loan = { whole, readers: 1, holds: 0 };
  lent.set(part, loan);
  lentMemory.set(whole.buffer, loan);
  return part;
}

/** One more reads these bytes, beside the one they are handed to: they have to be given back once more. */
export function alsoRead(part: Uint8Array): void {
  const loan = lent.get(part);
  if (loan) loan.readers += 1;
}

/**
 * Says that nobody needs these bytes any more. To be called by their last reader, with the very object that was handed on;
 * of any other nothing happens, and a buffer that is never given back is the collector's.
 */
export function giveBack(part: Uint8Array): void {
  const loan = lent.get(part);
  if (!loan) return;
  loan.readers -= 1;
  if (loan.readers > 0) return;
  lent.delete(part);
  takeBack(loan);
}

/**
 * For who goes on reading a piece of such a part after its reader has given it back.
 * @returns to be called once when that is over; undefined for memory that does not go round, which cannot be held
 */
export function hold(piece: Uint8Array): (() => void) | undefined {
  const loan = lentMemory.get(piece.buffer);
  if (!loan) return undefined;
  loan.holds += 1;
  return () => {
    loan.holds -= 1;
    takeBack(loan);
  };
}

function takeBack(loan: Loan): void {
  if (loan.readers > 0 || loan.holds > 0) return;
  lentMemory.delete(loan.whole.buffer);
  if (kept.length < mostKept) kept.push(loan.whole);
}
