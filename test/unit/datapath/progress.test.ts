// How far an import is, as one number.
import { describe, expect, test } from "vitest";
import { enterStage, newProgress, overallFraction } from "../../../src/datapath/progress.ts";
import type { Progress } from "../../../src/datapath/types.ts";

const progressOf = (fields: Partial<Progress>): Progress => ({ ...newProgress(), ...fields });

describe("the fraction", () => {
  test.each([
    { when: "nothing has begun", seen: {}, is: 0 },
    { when: "half of a transfer", seen: { stage: "transferring", bytesDone: 50, bytesTotal: 100 }, is: 0.495 },
    { when: "a whole transfer", seen: { stage: "transferring", bytesDone: 100, bytesTotal: 100 }, is: 0.99 },
    { when: "more than was announced", seen: { stage: "transferring", bytesDone: 200, bytesTotal: 100 }, is: 0.99 },
    { when: "an unknown total", seen: { stage: "transferring", bytesDone: 50 }, is: undefined },
    { when: "an unknown total of a download", seen: { stage: "downloading", stageCount: 2 }, is: undefined },
    { when: "a total of nothing", seen: { stage: "transferring", bytesTotal: 0 }, is: 0.99 },
    {
      when: "half of a download",
      seen: { stage: "downloading", stageCount: 2, bytesDone: 5, bytesTotal: 10 },
      is: 0.375,
    },
    {
      when: "the begin of a convert",
      seen: { stage: "converting", stageIndex: 1, stageCount: 2, bytesTotal: 10 },
      is: 0.75,
    },
    { when: "the begin of a convert alone", seen: { stage: "converting", stageCount: 1, bytesTotal: 10 }, is: 0 },
    { when: "a whole convert", seen: { stage: "converting", stageCount: 2, bytesDone: 10, bytesTotal: 10 }, is: 0.99 },
    { when: "the end", seen: { stage: "finishing", stageCount: 2, bytesTotal: 10 }, is: 0.99 },
  ] satisfies { when: string; seen: Partial<Progress>; is: number | undefined }[])("$when", ({ seen, is }) => {
    const fraction = overallFraction(progressOf(seen));
    if (is === undefined) expect(fraction).toBeUndefined();
    else expect(fraction).toBeCloseTo(is, 10);
  });

  test("only grows over a staged import", () => {
    const progress = newProgress();
    const seen: number[] = [];
    const look = (): number => seen.push(overallFraction(progress) ?? -1);
    const count = (): void => {
      for (progress.bytesDone = 0; progress.bytesDone < 1000; progress.bytesDone += 7) look();
      progress.bytesDone = 1000;
      look();
    };
    look();
    enterStage(progress, "downloading", 0, 2, 1000);
    count();
    enterStage(progress, "converting", 1, 2, 1000);
    count();
    enterStage(progress, "finishing", 1, 2, 1000);
    look();
    expect(seen).toEqual(seen.toSorted((one, other) => one - other));
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(0.99);
  });
});

test("a stage starts its count anew, and forgets a total that is no longer known", () => {
  const progress = progressOf({ bytesDone: 9, bytesTotal: 10, bytesRead: 9 });
  enterStage(progress, "converting", 1, 2);
  expect(progress).toEqual({ ...newProgress(), stage: "converting", stageIndex: 1, stageCount: 2, bytesRead: 9 });
  expect("bytesTotal" in progress).toBe(false);
});
