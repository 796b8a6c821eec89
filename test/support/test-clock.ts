// A clock whose time the test moves: sleeps end when it is moved past their end.
import { systemClock, type Clock } from "../../src/lib/clock.ts";

export interface TestClock extends Clock {
  /** Moves time on, ms, and lets everything that became due run. */
  advance(ms: number): Promise<void>;
  /** Sleeps that have not ended. */
  readonly sleeping: number;
}

/** 2026-01-02 03:04:05 UTC. */
export const noonMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export function testClock(startMs = noonMs): TestClock {
  let nowMs = startMs;
  const sleeps = new Set<{ dueMs: number; wake: () => void }>();
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => nowMs,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error);
        const entry = { dueMs: nowMs + ms, wake: () => end(resolve) };
        const abort = () => end(() => reject(signal?.reason as Error));
        const end = (finish: () => void) => {
          sleeps.delete(entry);
          signal?.removeEventListener("abort", abort);
          finish();
        };
        signal?.addEventListener("abort", abort, { once: true });
        sleeps.add(entry);
      });
    },
    async advance(ms) {
      nowMs += ms;
      await settle();
      for (const sleep of [...sleeps].toSorted((a, b) => a.dueMs - b.dueMs)) if (sleep.dueMs <= nowMs) sleep.wake();
      await settle();
    },
    get sleeping() {
      return sleeps.size;
    },
  };
}

/** The system's, in a hurry: no pause is longer than a millisecond. For what waits between tries. */
export const hastyClock: Clock = {
  now: () => systemClock.now(),
  sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 1), signal),
};
