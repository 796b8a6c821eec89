// How far an import is, as one number that only grows.
import type { Log } from "../lib/log.ts";
import type { Progress, Stage } from "./types.ts";

export const newProgress = (): Progress => ({
  stage: "connecting",
  stageIndex: 0,
  stageCount: 1,
  bytesDone: 0,
  bytesRead: 0,
  bytesWritten: 0,
  scratchPeakBytes: 0,
  retries: 0,
});

/** Sets the stage and starts its count anew. */
export function enterStage(
  progress: Progress,
  stage: Stage,
  stageIndex: number,
  stageCount: number,
  bytesTotal?: number,
): void {
  progress.stage = stage;
  progress.stageIndex = stageIndex;
  progress.stageCount = stageCount;
  progress.bytesDone = 0;
  if (bytesTotal === undefined) delete progress.bytesTotal;
  else progress.bytesTotal = bytesTotal;
}

/**
 * Tells that an earlier attempt's bytes are taken up from here, or (at 0) why they are not: to the log, to the metrics and so
 * to the DataVolume's status.
 */
export function tellResumed(progress: Progress, log: Log, fromBytes: number, why?: string): void {
  progress.resumedFromBytes = fromBytes;
  log.info(fromBytes > 0 ? "Resuming" : "Starting over", { fromBytes, ...(why === undefined ? {} : { why }) });
}

/** Where a stage begins and ends within the whole. A local convert is quicker than the download before it. */
const spans: Readonly<Record<Stage, (stageCount: number) => readonly [number, number]>> = {
  connecting: () => [0, 0],
  transferring: () => [0, 0.99],
  downloading: () => [0, 0.75],
  converting: (stageCount) => (stageCount > 1 ? [0.75, 0.99] : [0, 0.99]),
  finishing: () => [0.99, 0.99],
};

/** @returns 0 to 0.99 while it runs: only a committed import is 1. Undefined while the total is unknown */
export function overallFraction({ stage, stageCount, bytesDone, bytesTotal }: Progress): number | undefined {
  const [from, to] = spans[stage](stageCount);
  if (from === to) return from;
  if (bytesTotal === undefined) return stage === "transferring" || stage === "downloading" ? undefined : from;
  if (bytesTotal === 0) return to;
  return from + (to - from) * Math.min(1, bytesDone / bytesTotal);
}
