// Large buffers that go round: whoever fills one hands it on, and whoever has done with the bytes gives it back. A fresh MiB
// costs 256 page faults and waits for the collector, which at a GiB a second is more than decoding costs.

/** Size of every buffer here. */
export const largeBytes = 1024 * 1024;
/** Buffers kept for later; a road has two or three under way. */
const mostKept = 8;

const kept: Buffer[] = [];
const lent = new WeakMap<Uint8Array, Buffer>();

/** Its bytes are whatever the last user left. */
export const largeBuffer = (): Buffer => kept.pop() ?? Buffer.allocUnsafeSlow(largeBytes);

/** Marks the part of a large buffer that is handed on: giving back the part gives back the buffer. */
export function handOn(whole: Buffer, length: number): Buffer {
  const part = whole.subarray(0, length);
  lent.set(part, whole);
  return part;
}

/**
 * Says that nobody needs these bytes any more. To be called by their last reader, with the very object that was handed on;
 * of any other nothing happens, and a buffer that is never given back is the collector's.
 */
export function giveBack(part: Uint8Array): void {
  const whole = lent.get(part);
  if (!whole) return;
  lent.delete(part);
  if (kept.length < mostKept) kept.push(whole);
}
