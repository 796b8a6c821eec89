// Large buffers that go round: whoever fills one hands it on, and whoever has done with the bytes gives it back. A fresh MiB
// costs 256 page faults and waits for the collector, which at a GiB a second is more than decoding costs.
import { collectNowAndThen } from "./collect-young.ts";

/** Size of every buffer here. */
export const largeBytes = 1024 * 1024;
/** Buffers kept for later; a road has a few under way. */
const mostKept = 8;

interface Loan {
  readonly whole: Buffer;
  /** Who still reads the bytes. */
  readers: number;
}

const kept: Buffer[] = [];
const lent = new WeakMap<Uint8Array, Loan>();

/** Its bytes are whatever the last user left. */
export function largeBuffer(): Buffer {
  const old = kept.pop();
  if (old) return old;
  collectNowAndThen(largeBytes);
  return Buffer.allocUnsafeSlow(largeBytes);
}

/** Marks the part of a large buffer that is handed on: giving back the part gives back the buffer. */
export function handOn(whole: Buffer, length: number): Buffer {
  const part = whole.subarray(0, length);
  lent.set(part, { whole, readers: 1 });
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
  if (kept.length < mostKept) kept.push(loan.whole);
}
