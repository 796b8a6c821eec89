// One import from its first byte to the commit: asks the source, finds out what the bytes are, sends them down a road,
// makes sure that all of them came, and only then commits. Every failure discards.
import type { Readable } from "node:stream";
import type { Clock } from "../lib/clock.ts";
import { putOffWholeCollections } from "../lib/collect-young.ts";
import { faultOf } from "../lib/faults.ts";
import type { Log } from "../lib/log.ts";
import { hashFor, parseChecksum, verifyChecksum } from "./checksum.ts";
import { CheckpointKeeper, type CheckpointPlace } from "./checkpoint/keeper.ts";
import type { Checkpoint } from "./checkpoint/record.ts";
import { SegmentedDigest } from "./checkpoint/segmented-digest.ts";
import { decoders } from "./decoders/index.ts";
import { destroyWhole } from "./destroy-whole.ts";
import { digestOf } from "./digest.ts";
import { needsVhdFooter, refuseNonDisk } from "./disk-rule.ts";
import { peel, type Peeled } from "./peel.ts";
import { enterStage, tellResumed } from "./progress.ts";
import { chooseRoad } from "./roads/choose.ts";
import type { ScratchPlace } from "./roads/road.ts";
import { ScratchFile } from "./roads/scratch-file.ts";
import { fullOrTooSmall, tooSmall } from "./sinks/index.ts";
import { sniffBytes, sniffDisk, sniffRaw, type DiskFormat } from "./sniff.ts";
import { readToEnd, tap, withoutFirst, type Hashing } from "./tap.ts";
import { startsOver } from "./transfer/start-over.ts";
import { CannotResume, steadySource } from "./transfer/steady-source.ts";
import { windowedSource } from "./transfer/windowed-source.ts";
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
  /** Where it is kept how far the import is, for another process to go on from. Default: nowhere. */
  checkpoint?: CheckpointPlace;
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
  putOffWholeCollections(200);
  const { progress, log, signal, clock, stallMs } = job;
  const provesEnd = job.checksum !== undefined;
  const source = steadySource(windowedSource(job.source, { log }), {
    provesEnd,
    progress,
    log,
    ...(clock ? { clock } : {}),
    ...(stallMs === undefined ? {} : { stallMs }),
  });
  const startingOver = startsOver(source);
  const keeper = job.checkpoint && new CheckpointKeeper(job.checkpoint, job.sink, progress, log);
  const scratchFile = job.scratch && new ScratchFile({ place: job.scratch, checkpoint: job.checkpoint, progress, log });
  try {
    for (;;) {
      try {
        return await importOnce({ ...job, source, keeper, scratchFile, sink: keeper?.guarded(job.sink) ?? job.sink });
      } catch (cause) {
        const why = startingOver(cause, (keeper?.wentOn ?? false) || (scratchFile?.wentOn ?? false));
        if (why === undefined || signal.aborted) throw cause instanceof CannotResume ? cause.cause : cause;
        log.warn("The import broke off", { error: cause });
        tellResumed(progress, log, 0, why);
        progress.retries += 1;
        source.forget?.();
        await keeper?.remove();
        await scratchFile?.remove();
      }
    }
  } catch (cause) {
    await scratchFile?.leave(cause, signal);
    const outlives = job.checkpoint?.outlives ?? ((why) => signal.aborted || isWorthAnotherStart(why));
    if (keeper?.hasSaved && job.sink.rest && outlives(cause)) {
      await keeper.rest();
      await job.sink.rest();
    } else {
      await keeper?.end();
      await job.sink.discard();
    }
    throw signal.aborted ? signal.reason : fullOrTooSmall(cause, job.sink.emptyBytes);
  }
}

interface Attempt extends ImportJob {
  keeper: CheckpointKeeper | undefined;
  scratchFile: ScratchFile | undefined;
}

async function importOnce(job: Attempt): Promise<ImportOutcome> {
  const first = await pourInto(job, job.road);
  const outcome = first.kind === "declined" ? await pourStaged(job) : first;
  if (outcome.kind === "scratchNeeded") {
    await job.keeper?.end();
    // A discarded sink writes nothing where nothing was begun, and lets go of the device.
    await job.sink.discard();
  }
  return outcome;
}

/** Where the next container may do better, and with these bytes. */
function isWorthAnotherStart(cause: unknown): boolean {
  const { code, retryable } = faultOf(cause);
  return retryable && code !== "SourceChanged";
}

/** From the first byte again: the other road did not keep what it has read. */
async function pourStaged(job: Attempt): Promise<ImportOutcome> {
  job.progress.bytesRead = 0;
  job.progress.bytesWritten = 0;
  const outcome = await pourInto(job, "staged");
  if (outcome.kind === "declined") throw new Error("the staged road declines nothing");
  return outcome;
}

type Declined = { kind: "declined" };

async function pourInto(job: Attempt, forced?: "staged"): Promise<ImportOutcome | Declined> {
  const { source, progress, signal, keeper, scratchFile, log } = job;
  const checksum = job.checksum ? parseChecksum(job.checksum) : undefined;
  enterStage(progress, "connecting", 0, 1);
  const facts = await source.facts(signal);
  const found = await keeper?.find(source, facts, job.checksum ?? "");
  const from = found && !forced && (await goesOn(job, found)) ? found : undefined;
  if (found && !from) await keeper?.remove();
  const mayBeStaged = !from && !source.localPath && !source.isSentOn && job.format !== "raw";
  const fetched = mayBeStaged ? await scratchFile?.find(source, facts, job.checksum ?? "", signal) : undefined;
  const digest = (from ?? fetched?.checkpoint)?.digest;
  const saved = checksum && keeper ? SegmentedDigest.of(checksum.algorithm, digest) : undefined;
  const hash = saved ?? (checksum ? hashFor(checksum) : undefined);
  const peeled = from
    ? await peelFrom(job, from, facts, hash)
    : fetched
      ? { head: fetched.head, body: await bodyFrom(job, fetched.checkpoint, facts, hash), layers: [] }
      : await peel(tap(await source.open(0, signal), job, facts.sizeBytes, hash), signal, log, keeper?.onPoint);
  try {
    // What was fetched into scratch is nothing that goes through in one pass any more.
    const road = fetched ? "staged" : forced;
    const attempt = { ...job, ...(road ? { road } : {}) };
    return await pourPeeled(attempt, facts, peeled, { from, saved }, () => {
      if (checksum && hash) verifyChecksum(checksum, hash);
    });
  } finally {
    // However it ends: the tools that decode have ended too when the outcome is told.
    await destroyWhole(peeled.body);
  }
}

/** @returns whether what an earlier process wrote is still there, and its digest can be gone on with */
async function goesOn({ sink, log, progress, source }: Attempt, from: Checkpoint): Promise<boolean> {
  if (from.digest && !SegmentedDigest.of(from.digest.algorithm, from.digest)) return false;
  if (from.road === "one-pass" && !source.read && !from.pass) return false;
  const keptBytes = from.road === "straight" ? from.outputBytes : undefined;
  const goes = (await sink.goOn?.(from.sink, keptBytes)) ?? false;
  if (goes) tellResumed(progress, log, from.inputBytes);
  else tellResumed(progress, log, 0, "what an earlier process wrote is not there any more");
  return goes;
}

/** The body begins behind what is placed; what is hashed only until there is read before it. */
async function peelFrom(
  job: Attempt,
  from: Checkpoint,
  facts: SourceFacts,
  hash: Hashing | undefined,
): Promise<Peeled> {
  const { source, signal, keeper, log } = job;
  const head =
    from.pass?.head ?? Buffer.alloc(from.road === "one-pass" ? Math.min(sniffBytes, facts.sizeBytes ?? 0) : 0);
  if (!from.pass) await source.read?.(0, head, signal);
  const rest = await bodyFrom(job, from, facts, hash);
  if (!from.layer) return { head, body: rest, layers: [] };
  const { inputBytes, outputBytes, decoderState: state } = from;
  const point = { inputBytes, outputBytes, ...(state === undefined ? {} : { state }) };
  const body = await decoders[from.layer](rest, signal, log, { from: point, onPoint: keeper?.onPoint });
  return { head, body, layers: [from.layer] };
}

async function bodyFrom(
  job: Attempt,
  { digest, inputBytes }: Checkpoint,
  { sizeBytes }: Pick<SourceFacts, "sizeBytes">,
  hash: Hashing | undefined,
): Promise<Readable> {
  const begin = digest?.bytes ?? inputBytes;
  job.progress.bytesRead = begin;
  return withoutFirst(tap(await job.source.open(begin, job.signal), job, sizeBytes, hash, begin), inputBytes - begin);
}

/** What an earlier process left, and a digest that can be put away. */
interface Kept {
  from: Checkpoint | undefined;
  saved: SegmentedDigest | undefined;
}

async function pourPeeled(
  job: Attempt,
  { sizeBytes, validator, ranges, readsWhole }: SourceFacts,
  peeled: Peeled,
  { from, saved }: Kept,
  verify: () => void,
): Promise<ImportOutcome | Declined> {
  const { source, sink, progress, log, signal, keeper } = job;
  const begun = performance.now();
  const isAsIs = job.format === "raw";
  const disk = from ? diskOf(from) : isAsIs ? undefined : sniffDisk(peeled.head);
  // What goes on was looked at when it began.
  if (!isAsIs && !from) refuseNonDisk(peeled.head, source.path);
  const format = from?.format ?? disk ?? sniffRaw(peeled.head);
  const isPlain = peeled.layers.length === 0;
  if (!disk && isPlain && sizeBytes !== undefined && sizeBytes > sink.availableBytes) {
    throw tooSmall(sizeBytes, sink.availableBytes);
  }
  const { road, go } = chooseRoad(disk, job.road);
  log.info("Importing", { source: source.name, road, format, layers: peeled.layers, sizeBytes, validator });
  const needsFooter = !isAsIs && !from && needsVhdFooter(peeled.head, source.path);
  const footer = needsFooter ? footerCheck(peeled.body) : undefined;
  const body = footer?.body ?? peeled.body;
  const [layer] = peeled.layers;
  const canSave = peeled.layers.length < 2 && !footer && (!job.checksum || saved !== undefined);
  if (canSave && (road === "straight" || (road === "one-pass" && isPlain))) {
    keeper?.pour({ road, format, layer }, saved, from);
  } else keeper?.passOver();
  const end = await go({
    peeled: { ...peeled, body },
    disk,
    sink,
    source,
    ranges,
    sourceBytes: sizeBytes,
    localPath: isPlain ? source.localPath : undefined,
    scratch: job.scratch,
    scratchFile: job.scratchFile,
    savedDigest: job.checksum ? saved : "none",
    preallocate: job.preallocate,
    progress,
    log,
    signal,
    hasChecksum: job.checksum !== undefined || readsWhole === true,
    onReceived: job.onReceived,
    ...(from?.road === "one-pass" ? { startAt: from.inputBytes } : {}),
    ...(from?.road === "straight" ? { startOutput: from.outputBytes } : {}),
    ...(from?.pass ? { startState: from.pass } : {}),
    onLowWater: (inputBytes, state) => keeper?.reached({ inputBytes, outputBytes: 0 }, state),
    ...(keeper ? { onTaken: keeper.taken } : {}),
    onPlaced: (outputBytes) => keeper?.placed(outputBytes),
    ...(keeper ? { pace: keeper.pace } : {}),
    onTables: (tables) => keeper?.onTables(tables),
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
  await keeper?.end();
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

const diskOf = ({ road }: Checkpoint): DiskFormat | undefined => (road === "one-pass" ? "qcow2" : undefined);
