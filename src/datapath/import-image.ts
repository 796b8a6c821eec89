// One import from its first byte to the commit: asks the source, finds out what the bytes are, sends them down a road,
// makes sure that all of them came, and only then commits. Every failure discards.
import { pipeline, Transform, type Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Hash } from "node:crypto";
import { Fault } from "../lib/faults.ts";
import type { Log } from "../lib/log.ts";
import { hashFor, parseChecksum, verifyChecksum } from "./checksum.ts";
import { digestOf } from "./digest.ts";
import { needsVhdFooter, refuseNonDisk } from "./disk-rule.ts";
import { peel } from "./peel.ts";
import { enterStage } from "./progress.ts";
import { chooseRoad } from "./roads/choose.ts";
import type { ScratchPlace } from "./roads/road.ts";
import { tooSmall } from "./sinks/index.ts";
import { sniffDisk, sniffRaw } from "./sniff.ts";
import type { Progress, Road, Sink, Source } from "./types.ts";
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
  /** Say the sha256 of the disk. */
  digest?: boolean;
  preallocate: boolean;
}

export interface ImportDone {
  kind: "done";
  road: Road;
  /** raw, iso, tar or qcow2. */
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
  try {
    const outcome = await pourInto(job);
    // A discarded sink writes nothing where nothing was begun, and lets go of the device.
    if (outcome.kind === "scratchNeeded") await job.sink.discard();
    return outcome;
  } catch (cause) {
    await job.sink.discard();
    throw job.signal.aborted ? job.signal.reason : cause;
  }
}

async function pourInto(job: ImportJob): Promise<ImportOutcome> {
  const { source, sink, progress, log, signal } = job;
  const begun = performance.now();
  const checksum = job.checksum ? parseChecksum(job.checksum) : undefined;
  enterStage(progress, "connecting", 0, 1);
  const { sizeBytes, validator } = await source.facts(signal);
  const raw = await source.open(0, signal);
  const hash = checksum ? hashFor(checksum) : undefined;
  const tapped = tap(raw, progress, hash);
  const peeled = await peel(tapped, signal, log);
  const disk = job.format === "raw" ? undefined : sniffDisk(peeled.head);
  if (job.format !== "raw") refuseNonDisk(peeled.head, source.path);
  const format = disk ?? sniffRaw(peeled.head);
  const isPlain = peeled.layers.length === 0;
  if (!disk && isPlain && sizeBytes !== undefined && sizeBytes > sink.availableBytes)
    throw tooSmall(sizeBytes, sink.availableBytes);
  const { road, go } = chooseRoad(disk);
  log.info("Importing", { source: source.name, road, format, layers: peeled.layers, sizeBytes, validator });
  const footer =
    job.format !== "raw" && needsVhdFooter(peeled.head, source.path) ? footerCheck(peeled.body) : undefined;
  const body = footer?.body ?? peeled.body;
  const sourceIsWhole = async (): Promise<void> => {
    await readToEnd(body);
    await readToEnd(tapped);
    if (sizeBytes !== undefined && progress.bytesRead !== sizeBytes) {
      throw new Fault("SourceCut", `${source.name} ended at byte ${progress.bytesRead} of ${sizeBytes}`);
    }
    if (checksum && hash) verifyChecksum(checksum, hash);
    footer?.refuseUnlessFooter();
  };
  const localPath = isPlain ? source.localPath : undefined;
  const end = await go({
    peeled: { ...peeled, body },
    disk,
    sink,
    sourceBytes: sizeBytes,
    localPath,
    scratch: job.scratch,
    preallocate: job.preallocate,
    progress,
    log,
    signal,
    hasChecksum: checksum !== undefined,
    sourceIsWhole,
  });
  if (end.kind === "scratchNeeded") {
    peeled.body.destroy();
    return { kind: "scratchNeeded", road, format };
  }
  signal.throwIfAborted();
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

/** Counts and hashes the bytes as they come from the source. */
function tap(input: Readable, progress: Progress, hash: Hash | undefined): Readable {
  const counter = new Transform({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      progress.bytesRead += chunk.length;
      hash?.update(chunk);
      done(null, chunk);
    },
  });
  pipeline(input, counter, () => undefined);
  return counter;
}

/** A decoder may stop before the last byte (padding after the last member): the checksum covers that too. */
async function readToEnd(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.destroyed) return;
  stream.resume();
  await finished(stream, { writable: false });
}
