// One import from its first byte to the commit: asks the source, finds out what the bytes are, sends them down a road,
// makes sure that all of them came, and only then commits. Every failure discards.
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { hashFor, parseChecksum, verifyChecksum } from "./checksum.ts";
import { destroyWhole } from "./destroy-whole.ts";
import { digestOf } from "./digest.ts";
import { needsVhdFooter, refuseNonDisk } from "./disk-rule.ts";
import { peel, type Peeled } from "./peel.ts";
import { enterStage } from "./progress.ts";
import { chooseRoad } from "./roads/choose.ts";
import type { ScratchPlace } from "./roads/road.ts";
import { fullOrTooSmall, tooSmall } from "./sinks/index.ts";
import { sniffDisk, sniffRaw } from "./sniff.ts";
import { readToEnd, tap } from "./tap.ts";
import { startsOver } from "./transfer/start-over.ts";
import { CannotResume, steadySource } from "./transfer/steady-source.ts";
import type { Progress, Road, Sink, Source, SourceFacts } from "./types.ts";
import { footerCheck } from "./vhd-footer.ts";

export interface ImportJob {
  source: Source;
  sink: Sink;
  /** Kept up to date while the import runs. */
  progress: Progress;
  log: Log;
  signal: AbortSignal;
  /** "raw": the bytes under compression land as they are, whatever they look like. */
  format?: "raw";
  /** `alg:hex` over the bytes as sent. */
  checksum?: string;
  /** Where an image may be staged. Without it such an image ends in "scratchNeeded". */
  scratch?: ScratchPlace;
  /** Takes qcow2 down this road, whatever suits it best. */
  road?: "staged";
  /** Say the sha256 of the disk. */
  digest?: boolean;
  preallocate: boolean;
  /** Called once every byte is there and checked: what follows needs the source no more. */
  onReceived?: () => void;
  /** For pauses between tries. Default: the system's. */
  clock?: Clock;
  /** Time without a byte after which a stream is resumed, ms. Default 60 s. */
  stallMs?: number;
}

export interface ImportDone {
  kind: "done";
  road: Road;
  /** raw, iso, tar, or a disk format by its own name (sniff.ts). */
  format: string;
  /** Compression, outermost first. */
  layers: string[];
  virtualSizeBytes: number;
  bytesRead: number;
  bytesWritten: number;
  allocatedBytes?: number;
  scratchPeakBytes: number;
  /** Of the first virtualSizeBytes of the target, hex. */
  sha256?: string;
  preallocated: boolean;
  seconds: number;
}
export interface ScratchNeeded {
  kind: "scratchNeeded";
  road: Road;
  format: string;
}
export type ImportOutcome = ImportDone | ScratchNeeded;

/** @throws Fault; the signal's reason when aborted. The target then holds nothing that looks finished. */
export async function importImage(job: ImportJob): Promise<ImportOutcome> {
  const { progress, log, signal, clock, stallMs } = job;
  const provesEnd = job.checksum !== undefined;
  const source = steadySource(job.source, {
    provesEnd,
    progress,
    log,
    ...(clock ? { clock } : {}),
    ...(stallMs === undefined ? {} : { stallMs }),
  });
  const startingOver = startsOver(source);
  try {
    for (;;) {
      try {
        return await importOnce({ ...job, source });
      } catch (cause) {
        const why = startingOver(cause);
        if (why === undefined || signal.aborted) throw cause instanceof CannotResume ? cause.cause : cause;
        log.warn("Starting over from the first byte", { resumesFrom: 0, why, error: cause });
        progress.retries += 1;
        progress.resumedFromBytes = 0;
        source.forget?.();
      }
    }
  } catch (cause) {
    await job.sink.discard();
    throw signal.aborted ? signal.reason : fullOrTooSmall(cause, job.sink.emptyBytes);
  }
}

async function importOnce(job: ImportJob): Promise<ImportOutcome> {
  const first = await pourInto(job, job.road);
  const outcome = first.kind === "declined" ? await pourStaged(job) : first;
  // A discarded sink writes nothing where nothing was begun, and lets go of the device.
  if (outcome.kind === "scratchNeeded") await job.sink.discard();
  return outcome;
}

/** From the first byte again: the other road did not keep what it has read. */
async function pourStaged(job: ImportJob): Promise<ImportOutcome> {
  job.progress.bytesRead = 0;
  job.progress.bytesWritten = 0;
  const outcome = await pourInto(job, "staged");
  if (outcome.kind === "declined") throw new Error("the staged road declines nothing");
  return outcome;
}

type Declined = { kind: "declined" };

async function pourInto(job: ImportJob, forced?: "staged"): Promise<ImportOutcome | Declined> {
  const { source, progress, signal } = job;
  const checksum = job.checksum ? parseChecksum(job.checksum) : undefined;
  enterStage(progress, "connecting", 0, 1);
  const facts = await source.facts(signal);
  const hash = checksum ? hashFor(checksum) : undefined;
  const peeled = await peel(tap(await source.open(0, signal), job, facts.sizeBytes, hash), signal, job.log);
  try {
    return await pourPeeled({ ...job, ...(forced ? { road: forced } : {}) }, facts, peeled, () => {
      if (checksum && hash) verifyChecksum(checksum, hash);
    });
  } finally {
    // However it ends: the tools that decode have ended too when the outcome is told.
    await destroyWhole(peeled.body);
  }
}

async function pourPeeled(
  job: ImportJob,
  { sizeBytes, validator, ranges, readsWhole }: SourceFacts,
  peeled: Peeled,
  verify: () => void,
): Promise<ImportOutcome | Declined> {
  const { source, sink, progress, log, signal } = job;
  const begun = performance.now();
  const isAsIs = job.format === "raw";
  const disk = isAsIs ? undefined : sniffDisk(peeled.head);
  if (!isAsIs) refuseNonDisk(peeled.head, source.path);
  const format = disk ?? sniffRaw(peeled.head);
  const isPlain = peeled.layers.length === 0;
  if (!disk && isPlain && sizeBytes !== undefined && sizeBytes > sink.availableBytes) {
    throw tooSmall(sizeBytes, sink.availableBytes);
  }
  const { road, go } = chooseRoad(disk, job.road);
  log.info("Importing", { source: source.name, road, format, layers: peeled.layers, sizeBytes, validator });
  const footer = !isAsIs && needsVhdFooter(peeled.head, source.path) ? footerCheck(peeled.body) : undefined;
  const body = footer?.body ?? peeled.body;
  const end = await go({
    peeled: { ...peeled, body },
    disk,
    sink,
    source,
    ranges,
    sourceBytes: sizeBytes,
    localPath: isPlain ? source.localPath : undefined,
    scratch: job.scratch,
    preallocate: job.preallocate,
    progress,
    log,
    signal,
    hasChecksum: job.checksum !== undefined || readsWhole === true,
    onReceived: job.onReceived,
    async sourceIsWhole() {
      // Every layer reads its input to the end before it ends itself.
      if (!body.readableEnded) await readToEnd(body);
      verify();
      footer?.refuseUnlessFooter();
    },
  });
  if (end.kind === "declined") return end;
  if (end.kind === "scratchNeeded") return { kind: "scratchNeeded", road, format };
  signal.throwIfAborted();
  job.onReceived?.();
  const { virtualSizeBytes } = end;
  enterStage(progress, "finishing", progress.stageIndex, progress.stageCount, virtualSizeBytes);
  const { allocatedBytes, preallocated } = await sink.commit();
  const sha256 = job.digest ? await digestOf(sink.path, virtualSizeBytes, signal) : undefined;
  return {
    kind: "done",
    road,
    format,
    layers: peeled.layers,
    virtualSizeBytes,
    bytesRead: progress.bytesRead,
    bytesWritten: sink.writtenBytes || progress.bytesWritten,
    ...(allocatedBytes === undefined ? {} : { allocatedBytes }),
    scratchPeakBytes: progress.scratchPeakBytes,
    ...(sha256 === undefined ? {} : { sha256 }),
    preallocated,
    seconds: (performance.now() - begun) / 1000,
  };
}
