// The deadline: the certificate is about to end, and a new server is to take this one's place. An upload under way may finish.
import type { Clock } from "../src/lib/clock.ts";
import type { Gate } from "./gate.ts";

/** A timer holds no more than this, ms. */
const longestSleepMs = 2 ** 31 - 1;

/** Resolves once the time has come and nothing is under way; never for an upload that is done. Rejects when aborted. */
export async function deadlineReached(
  deadlineMs: number,
  gate: Gate,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let leftMs = deadlineMs - clock.now(); leftMs > 0; leftMs = deadlineMs - clock.now()) {
    await clock.sleep(Math.min(leftMs, longestSleepMs), signal);
  }
  while (gate.state !== "open") {
    const { pausedUntilMs } = gate;
    if (pausedUntilMs !== undefined && pausedUntilMs <= clock.now()) return;
    const over = pausedUntilMs === undefined ? [] : [clock.sleep(pausedUntilMs - clock.now(), signal)];
    await Promise.race([gate.changed(), ...over]);
    signal.throwIfAborted();
  }
}
