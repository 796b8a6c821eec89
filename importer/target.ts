// The pod's target volume: a block device where the pod has one, else the file system at /data.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { blockSink, filesystemSink, treeTarget } from "../src/datapath/index.ts";
import type { CheckpointPlace, Sink, TreeTarget } from "../src/datapath/index.ts";
import { Fault } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import { isArchive } from "./work.ts";
import type { Settings } from "./settings.ts";

/** The existence of the device decides; no variable says so (interfaces/importer.md section 1). */
export const isBlock = (settings: Settings): boolean => existsSync(settings.path("blockDevice"));

/** @throws Fault when the target cannot be opened */
export async function openTarget(settings: Settings, log: Log, signal: AbortSignal): Promise<Sink> {
  const shared = { preallocate: settings.config.preallocation, signal, log };
  if (isBlock(settings)) return await blockSink({ path: settings.path("blockDevice"), ...shared });
  const { requestBytes, overhead, volumeBytes } = settings;
  return await filesystemSink({ folder: settings.path("data"), requestBytes, overhead, volumeBytes, ...shared });
}

/** @throws Fault with a text that stands alone in the termination log */
export function checkTarget(settings: Settings): void {
  if (!isArchive(settings.config) || !isBlock(settings)) return;
  const path = settings.path("blockDevice");
  throw new Fault(
    "ConfigInvalid",
    `Unable to process data: content type archive needs a Filesystem volume; ${path} is a block device`,
  );
}

/** Where an archive is unpacked. @throws Fault when it cannot be */
export async function openTreeTarget(settings: Settings, log: Log, signal: AbortSignal): Promise<TreeTarget> {
  const { requestBytes, volumeBytes } = settings;
  return await treeTarget({ folder: settings.path("data"), requestBytes, volumeBytes, signal, log });
}

/** Where it is kept how far the import is: on a Filesystem volume itself, beside a Block one in the pod's own folder if it has one. */
export function checkpointOf(settings: Settings): CheckpointPlace | undefined {
  const { ownerUid: owner } = settings.config;
  if (owner === "") return undefined;
  if (!isBlock(settings)) return { path: join(settings.path("data"), "disk.img.part.checkpoint"), owner };
  const folder = settings.path("checkpoint");
  return existsSync(folder) ? { path: join(folder, "checkpoint"), owner } : undefined;
}

/** Scratch space, where the pod was given some. */
export function scratchOf(settings: Settings): { dir: string; fileName: string } | undefined {
  const dir = settings.path("scratch");
  return existsSync(dir) ? { dir, fileName: "tmpimage" } : undefined;
}
