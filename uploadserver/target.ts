// The upload's target volume, and the scratch space where the pod was given some.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { blockSink, filesystemSink, treeTarget } from "../src/datapath/index.ts";
import type { ScratchPlace, Sink, TreeTarget } from "../src/datapath/index.ts";
import { Fault } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import type { Settings } from "./settings.ts";

/**
 * A new one for each upload.
 * @throws Fault when the target cannot be opened
 */
export async function openTarget(settings: Settings, log: Log, signal: AbortSignal): Promise<Sink> {
  const { device, folder, fileName, requestBytes, overhead, volumeBytes } = settings;
  const shared = { preallocate: settings.config.preallocation, signal, log };
  if (device !== undefined) return await blockSink({ path: device, ...shared });
  return await filesystemSink({ folder, fileName, requestBytes, overhead, volumeBytes, ...shared });
}

/**
 * Where a resumable upload keeps its record and its checkpoint: beside the file, or for a device in the pod's own folder, where it
 * has one.
 */
export function keptIn(settings: Settings): { folder: string; checkpointPath: string } | undefined {
  const { device, folder, fileName, checkpointFolder } = settings;
  if (device === undefined) return { folder, checkpointPath: join(folder, `${fileName}.part.checkpoint`) };
  if (!existsSync(checkpointFolder)) return undefined;
  return { folder: checkpointFolder, checkpointPath: join(checkpointFolder, "checkpoint") };
}

export function scratchOf({ scratchFolder }: Settings): ScratchPlace | undefined {
  return existsSync(scratchFolder) ? { dir: scratchFolder, fileName: "tmpimage" } : undefined;
}

/** Where an archive is unpacked. @throws Fault when it cannot be */
export async function openTreeTarget(settings: Settings, log: Log, signal: AbortSignal): Promise<TreeTarget> {
  const { device, folder, requestBytes, volumeBytes } = settings;
  if (device !== undefined) {
    throw new Fault("ConfigInvalid", `content type archive needs a Filesystem volume; ${device} is a block device`);
  }
  return await treeTarget({ folder, requestBytes, volumeBytes, signal, log });
}
