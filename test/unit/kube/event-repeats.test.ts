// When an Event that is said again and again is written, and as how many.
import { expect, test } from "vitest";
import { createEventRepeats } from "../../../src/kube/event-repeats.ts";

test.each([
  { when: "far enough apart", atMs: [0, 5000, 10_000], due: [1, 1, 1] },
  { when: "too close", atMs: [0, 1, 4999, 5000, 5001, 12_000], due: [1, 0, 0, 3, 0, 2] },
  { when: "the clock set back by an hour", atMs: [3_600_000, 3_600_001, 0, 1], due: [1, 0, 2, 0] },
])("said $when", ({ atMs, due }) => {
  let nowMs = 0;
  const repeats = createEventRepeats(() => nowMs);
  expect(
    atMs.map((ms) => {
      nowMs = ms;
      return repeats.due("one");
    }),
  ).toEqual(due);
});

test("each Event has its own time, and of very many the oldest is forgotten", () => {
  const repeats = createEventRepeats(() => 0);
  const first = Array.from({ length: 1001 }, (_, at) => repeats.due(`event-${at}`));
  expect(new Set(first)).toEqual(new Set([1]));
  expect([repeats.due("event-1000"), repeats.due("event-1"), repeats.due("event-0")]).toEqual([0, 0, 1]);
});
