// The line of a terminal: what it says in which situation, and that it fits.
import { expect, test } from "vitest";
import { progressLine, secondsLeft, shownSeconds } from "../../../src/cli/progress-bar.ts";
import { makeRateMeter } from "../../../importer/rate.ts";

const MiB = 2 ** 20;
const halfway = {
  stage: "transferring",
  fraction: 0.5,
  bytesDone: 50 * MiB,
  bytesTotal: 100 * MiB,
  bytesPerSecond: 5 * MiB,
};

test.each([
  {
    when: "all is known",
    moment: halfway,
    line: "transferring [#######-------] 50%  50.0 MiB of 100 MiB  5.0 MiB/s  0:10 left",
  },
  {
    when: "there is no rate yet",
    moment: { stage: "transferring", fraction: 0, bytesDone: 0, bytesTotal: 100 * MiB },
    line: "transferring [----------------------------------------]  0%  0 B of 100 MiB",
  },
  {
    when: "the size is unknown",
    moment: { stage: "downloading", bytesDone: 3 * MiB, bytesPerSecond: MiB },
    line: "downloading  3.0 MiB  1.0 MiB/s",
  },
])("$when", ({ moment, line }) => {
  expect(progressLine(moment, 78)).toBe(line);
});

test.each([10, 20, 40, 80, 200])("fits a terminal of %i columns", (columns) => {
  expect(progressLine(halfway, columns).length).toBeLessThan(columns);
});

test.each([
  { seconds: 5, text: "0:05" },
  { seconds: 65, text: "1:05" },
  { seconds: 3723, text: "1:02:03" },
])("$seconds s are $text", ({ seconds, text }) => {
  expect(shownSeconds(seconds)).toBe(text);
});

test("time left is unknown while the rate is nought", () => {
  expect(secondsLeft({ ...halfway, bytesPerSecond: 0 })).toBeUndefined();
});

test("the rate looks back over its window only, and begins anew with a new stage", () => {
  const meter = makeRateMeter(1000);
  expect(meter.read(0, 0)).toBeUndefined();
  expect(meter.read(100, 1000)).toBe(100);
  expect(meter.read(1100, 2000)).toBe(1000);
  expect(meter.read(0, 2100)).toBeUndefined();
  expect(meter.read(50, 2600)).toBe(100);
});
