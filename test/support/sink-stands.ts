// Real targets a sink is tried on: folders, plain files, ext4 volumes and loop devices.
import { open, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { blockSink, filesystemSink } from "../../src/datapath/sinks/index.ts";
import { MIB } from "../../src/datapath/sinks/zero-blocks.ts";
import type { Sink } from "../../src/datapath/types.ts";
import type { Syscalls } from "../../src/lib/syscalls.ts";
import { makeExt4, makeFolder, makeLoop } from "./loop.ts";

/** Bytes of each of them. */
export const SIZE = 48 * MIB;

interface Settings {
  preallocate?: boolean;
  calls?: Syscalls;
}
export interface Stand {
  open: (settings?: Settings) => Promise<Sink>;
  /** The whole disk, after commit. */
  read: () => Promise<Buffer>;
  allocatedBytes: () => Promise<number>;
}

export async function readAll(path: string, sizeBytes: number): Promise<Buffer> {
  const handle = await open(path, "r");
  try {
    const bytes = Buffer.alloc(sizeBytes);
    for (let at = 0; at < sizeBytes; at += MIB) await handle.read(bytes, at, Math.min(MIB, sizeBytes - at), at);
    return bytes;
  } finally {
    await handle.close();
  }
}

async function loopStand(blockBytes: 512 | 4096, backing: "disk" | "ramfs" = "disk"): Promise<Stand> {
  const loop = await makeLoop({ sizeBytes: SIZE, blockBytes, backing });
  return {
    open: (settings) => blockSink({ path: loop.device, ...settings }),
    read: () => readAll(loop.device, SIZE),
    allocatedBytes: loop.allocatedBytes,
  };
}

async function fileAsBlockStand(): Promise<Stand> {
  const path = join(await makeFolder(), "device");
  await writeFile(path, Buffer.alloc(SIZE, 0x5a));
  return {
    open: (settings) => blockSink({ path, ...settings }),
    read: () => readAll(path, SIZE),
    allocatedBytes: async () => (await stat(path)).blocks * 512,
  };
}

async function folderStand(folder: string): Promise<Stand> {
  const path = join(folder, "disk.img");
  return {
    open: (settings) => filesystemSink({ folder, requestBytes: SIZE, ...settings }),
    read: async () => readAll(path, (await stat(path)).size),
    allocatedBytes: async () => (await stat(path)).blocks * 512,
  };
}

export const stands: { name: string; make: () => Promise<Stand>; roots?: boolean; punches: boolean }[] = [
  { name: "a folder", make: async () => folderStand(await makeFolder()), punches: true },
  { name: "a plain file as a device", make: fileAsBlockStand, punches: true },
  { name: "an ext4 volume", make: async () => folderStand(await makeExt4(96 * MIB)), roots: true, punches: true },
  { name: "a device of 512", make: () => loopStand(512), roots: true, punches: true },
  { name: "a device of 4096", make: () => loopStand(4096), roots: true, punches: true },
  { name: "a device that cannot punch", make: () => loopStand(512, "ramfs"), roots: true, punches: false },
  { name: "a device of 4096 that cannot punch", make: () => loopStand(4096, "ramfs"), roots: true, punches: false },
];
