// Retry delay as a pure function of the attempt.

export interface BackoffShape {
  /** Delay after the first failure, ms. */
  baseMs: number;
  /** No delay is longer, ms. */
  capMs: number;
}

/** The kubelet's container restarts: 10 s, doubled, capped at 5 min. */
export const kubeletBackoff: BackoffShape = { baseMs: 10_000, capMs: 300_000 };

/** @param failures how often it failed so far, from 1. @returns milliseconds to wait before the next try */
export function backoffDelay(failures: number, { baseMs, capMs }: BackoffShape): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
}
