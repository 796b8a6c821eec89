// When an ended container runs again: the kubelet's rule. The first restart is immediate, then the delay grows; a container
// that ran long enough starts over.
import { backoffDelay, type BackoffShape } from "../../lib/backoff.ts";

export interface RestartHistory {
  /** Restarts counted for the delay. */
  count: number;
  /** When it was last restarted, ms. */
  lastMs?: number;
}

/** @returns ms to wait, counted from `finishedMs`; 0 is "at once" */
export function restartDelay(history: RestartHistory, finishedMs: number, shape: BackoffShape): number {
  const { count } = forgiven(history, finishedMs, shape);
  return count === 0 ? 0 : backoffDelay(count, shape);
}

export function afterRestart(
  history: RestartHistory,
  finishedMs: number,
  nowMs: number,
  shape: BackoffShape,
): RestartHistory {
  return { count: forgiven(history, finishedMs, shape).count + 1, lastMs: nowMs };
}

/** Running for twice the longest delay (10 minutes) clears the past. */
function forgiven(history: RestartHistory, finishedMs: number, { capMs }: BackoffShape): RestartHistory {
  const ranMs = history.lastMs === undefined ? 0 : finishedMs - history.lastMs;
  return ranMs > 2 * capMs ? { count: 0 } : history;
}

export function mayRestart(policy: "Always" | "OnFailure" | "Never" | undefined, exitCode: number): boolean {
  if (policy === "Never") return false;
  return policy === "OnFailure" ? exitCode !== 0 : true;
}

/** Go's duration for whole seconds and ms as the kubelet prints it: "10s", "1m20s", "5m0s". */
export function shownDelay(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const seconds = ms / 1000;
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}
