// Keys waiting for a run: each at most once in line, each run by one worker at a time; a key that changed during its run
// comes round again. Failures wait longer each time.
import { backoffDelay, type BackoffShape } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";

export interface Workqueue {
  add(key: string): void;
  /** Adds later; when it is already due to be added, the earlier time stands. */
  addAfter(key: string, ms: number): void;
  /** Adds after a delay that grows with each call until `forget`, and is `atLeastMs` or more. @returns the delay, ms */
  addBackedOff(key: string, atLeastMs?: number): number;
  /** The key's next failure counts as its first. */
  forget(key: string): void;
  /** The next key, undefined once closed. Every key taken must be given back with `done`. */
  take(): Promise<string | undefined>;
  done(key: string): void;
  /** Keys in line, not those due later. */
  readonly length: number;
  close(): void;
}

/** First retry soon (a conflict is gone after one watch event), then slower. */
export const retryBackoff: BackoffShape = { baseMs: 20, capMs: 60_000 };

export function createWorkqueue(clock: Clock, backoff: BackoffShape = retryBackoff): Workqueue {
  const line = new Set<string>();
  const running = new Set<string>();
  const dirty = new Set<string>();
  const failures = new Map<string, number>();
  const later = new Map<string, { dueMs: number; stop: AbortController }>();
  const waiting: ((key: string | undefined) => void)[] = [];
  let closed = false;

  function add(key: string): void {
    if (closed) return;
    if (running.has(key)) {
      dirty.add(key);
      return;
    }
    const worker = line.has(key) ? undefined : waiting.shift();
    if (worker) {
      running.add(key);
      worker(key);
      return;
    }
    line.add(key);
  }

  function addAfter(key: string, ms: number): void {
    if (closed) return;
    if (ms <= 0) return add(key);
    const dueMs = clock.now() + ms;
    const set = later.get(key);
    if (set && set.dueMs <= dueMs) return;
    set?.stop.abort();
    const stop = new AbortController();
    later.set(key, { dueMs, stop });
    clock.sleep(ms, stop.signal).then(
      () => {
        later.delete(key);
        add(key);
      },
      () => undefined, // replaced by an earlier time, or closed
    );
  }

  return {
    add,
    addAfter,
    addBackedOff(key, atLeastMs = 0) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      const ms = Math.max(atLeastMs, backoffDelay(count, backoff));
      addAfter(key, ms);
      return ms;
    },
    forget: (key) => void failures.delete(key),
    async take() {
      if (closed) return undefined;
      for (const key of line) {
        line.delete(key);
        running.add(key);
        return key;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    done(key) {
      running.delete(key);
      if (dirty.delete(key)) add(key);
    },
    get length() {
      return line.size;
    },
    close() {
      closed = true;
      for (const { stop } of later.values()) stop.abort();
      later.clear();
      line.clear();
      for (const worker of waiting.splice(0)) worker(undefined);
    },
  };
}
