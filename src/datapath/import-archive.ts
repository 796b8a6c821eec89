// The archive road: a tar, plain or compressed, unpacked into a Filesystem volume as it comes. Bytes count only when all of them
// came and the checksum is right.
import { Fault } from "../lib/faults.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { hashFor, parseChecksum, verifyChecksum } from "./checksum.ts";
import { destroyWhole } from "./destroy-whole.ts";
import { peel } from "./peel.ts";
import { enterStage } from "./progress.ts";
import { fullOrTooSmall } from "./sinks/index.ts";
import { isZero } from "./sinks/zero-blocks.ts";
import { CannotResume, steadySource } from "./transfer/steady-source.ts";
import { windowedSource } from "./transfer/windowed-source.ts";
import { walkTar } from "./tar/walk.ts";
import { tap } from "./tap.ts";
import type { TreeTarget } from "./tree/tree-target.ts";
import type { Progress, Source } from "./types.ts";

export interface ArchiveJob {
  source: Source;
  target: TreeTarget;
  /** Kept up to date while the import runs. */
  progress: Progress;
  log: Log;
  signal: AbortSignal;
  /** `alg:hex` over the bytes as sent. */
  checksum?: string;
  /** For pauses between tries. Default: the system's. */
  clock?: Clock;
}

export interface ArchiveDone {
  road: "archive";
  /** Compression, outermost first. */
  layers: string[];
  entries: number;
  bytesRead: number;
  bytesWritten: number;
  seconds: number;
}

/** What may stand behind the end of the archive: tar pads to its record, some disks to their size. */
const mostBehindBytes = 64 * 1024 * 1024;

/** @throws Fault; the signal's reason when aborted. The target then holds nothing of the archive */
export async function importArchive(job: ArchiveJob): Promise<ArchiveDone> {
  const { target, progress, log, signal, clock } = job;
  const provesEnd = job.checksum !== undefined;
  const source = steadySource(windowedSource(job.source, { log }), {
    provesEnd,
    progress,
    log,
    ...(clock ? { clock } : {}),
  });
  try {
    return await unpack({ ...job, source });
  } catch (cause) {
    target.discard();
    // What was unpacked is gone with it: the next container starts over.
    const fault = cause instanceof CannotResume ? cause.cause : cause;
    throw signal.aborted ? signal.reason : fullOrTooSmall(fault, target.emptyBytes);
  }
}

async function unpack({ source, target, progress, log, signal, ...job }: ArchiveJob): Promise<ArchiveDone> {
  const begun = performance.now();
  const checksum = job.checksum ? parseChecksum(job.checksum) : undefined;
  const hash = checksum && hashFor(checksum);
  enterStage(progress, "connecting", 0, 1);
  const { sizeBytes, validator } = await source.facts(signal);
  const input = tap(await source.open(0, signal), { source, progress }, sizeBytes, hash);
  const { body, layers } = await peel(input, signal, log);
  log.info("Importing", { source: source.name, road: "archive", layers, sizeBytes, validator });
  try {
    enterStage(progress, "transferring", 0, 1, sizeBytes);
    const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    // The walker must not end the stream with itself: what lies behind the archive is read too.
    let isZeros = true;
    const shared: AsyncIterator<Buffer, undefined> = {
      async next() {
        const step = await iterator.next();
        if (target.entries === 0 && !step.done) isZeros &&= isZero(step.value);
        return step;
      },
    };
    for await (const entry of walkTar({ [Symbol.asyncIterator]: () => shared })) {
      await target.put(entry);
      progress.bytesDone = progress.bytesRead;
      progress.bytesWritten = target.writtenBytes;
    }
    await readBehind(shared);
    // A disk that begins with zeros is no empty archive.
    if (target.entries === 0 && !isZeros)
      throw new Fault("ArchiveInvalid", "the source is not a tar archive: zeros, and something behind them");
    progress.bytesDone = progress.bytesRead;
    if (checksum && hash) verifyChecksum(checksum, hash);
  } finally {
    await destroyWhole(body);
  }
  signal.throwIfAborted();
  enterStage(progress, "finishing", 0, 1, sizeBytes);
  await target.commit();
  return {
    road: "archive",
    layers,
    entries: target.entries,
    bytesRead: progress.bytesRead,
    bytesWritten: target.writtenBytes,
    seconds: (performance.now() - begun) / 1000,
  };
}

/** To the last byte, which proves that all came. */
async function readBehind(iterator: AsyncIterator<Buffer, undefined>): Promise<void> {
  let behindBytes = 0;
  for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
    behindBytes += step.value.length;
    if (behindBytes > mostBehindBytes)
      throw new Fault("ArchiveInvalid", `more than ${mostBehindBytes} bytes follow the end of the tar archive`);
  }
}
