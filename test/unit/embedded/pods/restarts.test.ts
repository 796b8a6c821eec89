// When an ended container runs again.
import { expect, test } from "vitest";
import { kubeletBackoff } from "../../../../src/lib/backoff.ts";
import {
  afterRestart,
  mayRestart,
  restartDelay,
  shownDelay,
  type RestartHistory,
} from "../../../../src/embedded/pods/restarts.ts";

test("the kubelet's series: at once, 10 s, doubled, at most 5 min", () => {
  let history: RestartHistory = { count: 0 };
  const delays: string[] = [];
  for (let nowMs = 0; delays.length < 8;) {
    const delayMs = restartDelay(history, nowMs, kubeletBackoff);
    delays.push(shownDelay(delayMs));
    history = afterRestart(history, nowMs, nowMs + delayMs, kubeletBackoff);
    nowMs += delayMs + 1000;
  }
  expect(delays).toEqual(["0ms", "10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
});

test("ten minutes of running clear the past", () => {
  const history = { count: 6, lastMs: 0 };
  expect(restartDelay(history, 600_000, kubeletBackoff)).toBe(300_000);
  expect(restartDelay(history, 600_001, kubeletBackoff)).toBe(0);
  expect(afterRestart(history, 600_001, 600_001, kubeletBackoff)).toEqual({ count: 1, lastMs: 600_001 });
});

test.each([
  { policy: "Always", exit: 0, again: true },
  { policy: "Always", exit: 1, again: true },
  { policy: "OnFailure", exit: 0, again: false },
  { policy: "OnFailure", exit: 1, again: true },
  { policy: "Never", exit: 1, again: false },
] as const)("$policy after exit $exit", ({ policy, exit, again }) => {
  expect(mayRestart(policy, exit)).toBe(again);
});
