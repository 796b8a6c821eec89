// The upload's target volume, and the scratch space where the pod was given some.
import { existsSync } from "node:fs";
import { blockSink, filesystemSink } from "../src/datapath/index.ts";
import type { ScratchPlace, Sink } from "../src/datapath/index.ts";
import type { Log } from "../src/lib/log.ts";
import type { Settings } from "./settings.ts";

/** A new one for each upload. @throws Fault when the target cannot be opened */
export async function openTarget(settings: Settings, log: Log, signal: AbortSignal): Promise<Sink> {
  const { device, folder, fileName, requestBytes, overhead, volumeBytes } = settings;
  const shared = { preallocate: settings.config.preallocation, signal, log };
  if (device !== undefined) return await blockSink({ path: device, ...shared });
  return await filesystemSink({ folder, fileName, requestBytes, overhead, volumeBytes, ...shared });
}

export function scratchOf({ scratchFolder }: Settings): ScratchPlace | undefined {
  return existsSync(scratchFolder) ? { dir: scratchFolder, fileName: "tmpimage" } : undefined;
}
