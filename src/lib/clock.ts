// Time, handed in: everything that waits or stamps takes a Clock, so that tests own the hours.
import { setTimeout as timer } from "node:timers/promises";

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    await timer(ms, undefined, signal ? { signal } : {}).catch((cause: unknown) => {
      throw signal?.aborted ? signal.reason : cause;
    });
  },
};

/** RFC 3339 with whole seconds, as Kubernetes writes metav1.Time. */
export const stamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
