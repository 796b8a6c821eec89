// The staged road: the image into scratch, its tables walked, then qemu-img convert into the target.
import { constants } from "node:fs";
import { open, rm, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { giveBack } from "../../lib/buffers.ts";
import { Fault } from "../../lib/faults.ts";
import { destroyWhole } from "../destroy-whole.ts";
import { inspectors } from "../inspect/index.ts";
import type { Inspector } from "../inspect/inspector.ts";
import { enterStage } from "../progress.ts";
import { convertToRaw } from "../qemu-img.ts";
import { targetFault, tooSmall } from "../sinks/index.ts";
import type { RoadEnd, RoadJob } from "./road.ts";

/** @throws Fault; whatever happens, the scratch file is gone afterwards */
export async function goStaged(job: RoadJob): Promise<RoadEnd> {
  const { peeled, sink, scratch, localPath, log } = job;
  const { virtualSizeBytes = 0, notice } = inspectorOf(job).readHead(peeled.head);
  if (virtualSizeBytes > sink.availableBytes) throw tooSmall(virtualSizeBytes, sink.availableBytes);
  if (notice) log.warn(notice);
  if (localPath !== undefined && (await isFile(localPath))) {
    await checkLocal(job);
    return await convert(job, localPath, 0, 1);
  }
  if (!scratch) return { kind: "scratchNeeded" };
  const path = join(scratch.dir, scratch.fileName);
  try {
    await download(job, path);
    return await convert(job, path, 1, 2);
  } finally {
    await rm(path, { force: true });
  }
}

/** Whatever has no format of its own goes straight, not here. */
const inspectorOf = ({ disk = "qcow2" }: RoadJob): Inspector => inspectors[disk];

/** qemu's file driver takes nothing else: an image on a device is staged like one from afar. */
async function isFile(path: string): Promise<boolean> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new Fault("SourceUnreadable", `${path} cannot be read: ${String(cause)}`, { cause });
  });
  return stats.isFile();
}

/**
 * What an image may unpack to, bytes: its disk once, as much again for snapshots, and its tables. Beyond that it is a bomb.
 */
export const unpackedLimit = (availableBytes: number): number => 2 * availableBytes + 64 * 1024 * 1024;

export const unpacksTooFar = (mostBytes: number): Fault =>
  new Fault("ImageRefused", `the image unpacks to more than ${mostBytes} bytes, far more than its target takes`);

/** A local file is converted where it lies; it is read here for its checksum only. */
async function checkLocal({ peeled, hasChecksum, sourceIsWhole }: RoadJob): Promise<void> {
  if (hasChecksum) await sourceIsWhole();
  else await destroyWhole(peeled.body);
}

async function download(job: RoadJob, path: string): Promise<void> {
  const { peeled, progress, sourceBytes, sourceIsWhole } = job;
  const mostBytes = peeled.layers.length === 0 ? Infinity : unpackedLimit(job.sink.availableBytes);
  enterStage(progress, "downloading", 0, 2, sourceBytes);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600).catch((cause: unknown) => {
    throw targetFault(cause, `create ${path}`);
  });
  try {
    let offset = 0;
    for await (const chunk of peeled.body as AsyncIterable<Buffer>) {
      if (offset + chunk.length > mostBytes) {
        throw unpacksTooFar(mostBytes);
      }
      await writeWhole(handle, chunk, offset, path);
      offset += chunk.length;
      giveBack(chunk);
      progress.scratchPeakBytes = offset;
      progress.bytesDone = progress.bytesRead;
    }
  } finally {
    await handle.close();
  }
  await sourceIsWhole();
}

async function writeWhole(handle: FileHandle, chunk: Buffer, offset: number, path: string): Promise<void> {
  try {
    for (let done = 0; done < chunk.length;) {
      done += (await handle.write(chunk, done, chunk.length - done, offset + done)).bytesWritten;
    }
  } catch (cause) {
    throw targetFault(cause, `write to scratch space ${path}`);
  }
}

async function convert(job: RoadJob, path: string, stageIndex: number, stageCount: number): Promise<RoadEnd> {
  const { sink, progress, preallocate, signal } = job;
  const inspector = inspectorOf(job);
  const { virtualSizeBytes, dataBytes, driverOptions } = await inspector.walk(path, signal);
  if (virtualSizeBytes > sink.availableBytes) throw tooSmall(virtualSizeBytes, sink.availableBytes);
  job.onReceived?.();
  enterStage(progress, "converting", stageIndex, stageCount, virtualSizeBytes);
  const target = await sink.lend(virtualSizeBytes);
  if (!target.readsAsZeros) throw new Fault("TargetIo", `${target.path} does not read as zeros`);
  await convertToRaw({
    sourcePath: path,
    driver: inspector.driver,
    ...(driverOptions ? { driverOptions } : {}),
    target: { path: target.path, kind: sink.kind },
    virtualSizeBytes,
    preallocate,
    signal,
    onProgress: (fraction) => (progress.bytesDone = Math.floor(fraction * virtualSizeBytes)),
  });
  progress.bytesWritten = dataBytes;
  return { kind: "poured", virtualSizeBytes };
}
