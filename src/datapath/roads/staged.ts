// The staged road: the image into scratch, its tables walked, then qemu-img convert into the target.
import { stat } from "node:fs/promises";
import { giveBack } from "../../lib/buffers.ts";
import { Fault } from "../../lib/faults.ts";
import { destroyWhole } from "../destroy-whole.ts";
import { inspectors } from "../inspect/index.ts";
import type { Inspector } from "../inspect/inspector.ts";
import { enterStage } from "../progress.ts";
import { convertToRaw } from "../qemu-img.ts";
import { tooSmall } from "../sinks/index.ts";
import type { RoadEnd, RoadJob } from "./road.ts";
import type { ScratchFile } from "./scratch-file.ts";

/** @throws Fault; then what lies in scratch is the caller's to remove, or to leave for another process */
export async function goStaged(job: RoadJob): Promise<RoadEnd> {
  const { peeled, sink, scratchFile: scratch, localPath, log } = job;
  const { virtualSizeBytes = 0, notices = [] } = inspectorOf(job).readHead(peeled.head);
  if (virtualSizeBytes > sink.availableBytes) throw tooSmall(virtualSizeBytes, sink.availableBytes);
  for (const notice of notices) log.warn(notice);
  if (localPath !== undefined && (await isFile(localPath))) {
    await checkLocal(job);
    return await convert(job, localPath, 0, 1);
  }
  if (!scratch) return { kind: "scratchNeeded" };
  await download(job, scratch);
  const end = await convert(job, scratch.path, 1, 2);
  await scratch.remove();
  return end;
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

async function download(job: RoadJob, scratch: ScratchFile): Promise<void> {
  const { peeled, progress, sourceBytes, sourceIsWhole, disk = "qcow2", savedDigest } = job;
  const [layer] = peeled.layers;
  const mostBytes = layer === undefined ? Infinity : unpackedLimit(job.sink.availableBytes);
  enterStage(progress, "downloading", 0, 2, sourceBytes);
  await scratch.begin(disk, layer, savedDigest);
  try {
    for await (const chunk of peeled.body as AsyncIterable<Buffer>) {
      if (scratch.bytes + chunk.length > mostBytes) {
        throw unpacksTooFar(mostBytes);
      }
      await scratch.write(chunk);
      giveBack(chunk);
      progress.scratchPeakBytes = scratch.bytes;
      progress.bytesDone = progress.bytesRead;
    }
  } finally {
    await scratch.close();
  }
  await sourceIsWhole();
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
