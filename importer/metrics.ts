// The importer's metrics: percent done, and the additive gauges from which the controller fills status.transfer.
// Values are read from the progress when somebody scrapes; a series is absent while its value is not known.
import { importProgress, importProgressOld, transferMetrics } from "../src/contract/metrics.ts";
import { overallFraction } from "../src/datapath/index.ts";
import type { Progress } from "../src/datapath/index.ts";
import type { MetricRow } from "../src/telemetry/index.ts";
import type { Listener } from "./outcome.ts";
import { makeRateMeter } from "./rate.ts";

export interface ImporterMetricsOf {
  readonly ownerUid: string;
  readonly progress: Progress;
  readonly listener: Listener;
  /** True once the target is committed: only then is it 100 percent. */
  readonly isCommitted: () => boolean;
  /** Milliseconds, for the rate. */
  readonly now: () => number;
}

/** Percent 0-100; below 100 until the commit. */
export function percentOf(progress: Progress, isCommitted: boolean): number | undefined {
  if (isCommitted) return 100;
  const fraction = overallFraction(progress);
  return fraction === undefined ? undefined : Math.min(99.99, Math.max(0, fraction * 100));
}

/** The rows to serve on the metrics port. */
export function importerMetricRows({ ownerUid, progress, listener, isCommitted, now }: ImporterMetricsOf): MetricRow[] {
  const meter = makeRateMeter();
  const owner = { ownerUID: ownerUid };
  // A counter never falls: a stage that starts anew (another mirror, a retry inside the source) must not show as a reset.
  let highest = 0;
  const row = (name: string, help: string, read: () => number | undefined): MetricRow => ({
    name,
    type: "gauge",
    help,
    labels: ["ownerUID"],
    read() {
      const value = read();
      return value === undefined ? [] : [{ value, labels: owner }];
    },
  });
  return [
    {
      ...row(listener === "current" ? importProgress : importProgressOld, "The import progress in percentage", () => {
        const percent = percentOf(progress, isCommitted());
        if (percent === undefined) return undefined;
        highest = Math.max(highest, percent);
        return highest;
      }),
      type: "counter",
    },
    row(transferMetrics.bytesDone, "Bytes done of the stage under way", () => progress.bytesDone),
    row(transferMetrics.bytesTotal, "Bytes in all of the stage under way", () => progress.bytesTotal),
    row(transferMetrics.bytesRead, "Bytes taken from the source", () => progress.bytesRead),
    row(transferMetrics.bytesPerSecond, "Rate over the last seconds", () => meter.read(progress.bytesDone, now())),
    row(
      transferMetrics.resumedFromBytes,
      "Where an earlier attempt's bytes were taken up again, bytes of the source",
      () => progress.resumedFromBytes,
    ),
    row(transferMetrics.stageIndex, "Number of the stage under way, from 0", () => progress.stageIndex),
    row(transferMetrics.stageCount, "Number of stages", () => progress.stageCount),
    {
      name: transferMetrics.stage,
      type: "gauge",
      help: "1 for the stage under way",
      labels: ["ownerUID", "stage"],
      read: () => [{ value: 1, labels: { ...owner, stage: progress.stage } }],
    },
  ];
}
