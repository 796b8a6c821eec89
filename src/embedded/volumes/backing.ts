// What a volume is made of on this machine: a sparse file or a folder, under <dir>/<volume name>/.
import { constants } from "node:fs";
import { access, chmod, mkdir, open, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "../run-tool.ts";
import type { Road } from "./isolation.ts";

export type VolumeMode = "Filesystem" | "Block";

/** ext4 wants whole 4 KiB blocks and a first MiB to live in. */
export const wholeSize = (bytes: number): number => Math.max(1 << 20, Math.ceil(bytes / 4096) * 4096);

/** "disk" is the bytes of a device, "data" a folder. */
export const backingPath = (dir: string, volume: string, mode: VolumeMode, road: Road): string =>
  join(dir, volume, road === "folder" && mode === "Filesystem" ? "data" : "disk");

/** Cheap: a sparse file of the size, or a folder. Doing it again changes nothing. */
export async function createBacking(path: string, bytes: number): Promise<void> {
  const holder = join(path, "..");
  // Searchable for all, so that the owner of the data folder above alone decides who may look.
  await mkdir(holder, { recursive: true, mode: 0o755 });
  if (path.endsWith("/data")) {
    await mkdir(path, { recursive: true });
    return;
  }
  const file = await open(path, constants.O_CREAT | constants.O_RDWR, 0o600);
  try {
    if ((await file.stat()).size < bytes) await file.truncate(bytes);
  } finally {
    await file.close();
  }
}

/** The file behind a volume becomes this long, and the file system in it as large. Not while it is mounted. */
export async function growBacking(path: string, bytes: number, mode: VolumeMode): Promise<void> {
  await createBacking(path, bytes);
  // One that was never mounted has no file system yet: it gets one of the whole size.
  if (mode === "Block" || !(await exists(formattedMark(path)))) return;
  await checkFileSystem(path, "-f");
  await runTool("resize2fs", [path], 600_000);
}

export async function removeBacking(dir: string, volume: string): Promise<void> {
  await rm(join(dir, volume), { recursive: true, force: true });
}

/** Names of volumes that have something on disk. */
export async function listBackings(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => !name.startsWith("."));
}

// No reserved blocks, no room to grow tables, few inodes: 98 % of the size is usable, so that size / 1.06 always fits.
// No journal: it would cost 4 MiB of a small claim and a second write of all metadata. The kernel outlives a killed process,
// and after a power cut e2fsck mends what is open at the next attach.
const formatOptions = ["-q", "-F", "-b", "4096", "-m", "0", "-i", "65536", "-I", "256"];
const formatFeatures = ["-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard"];

/** A fresh file gets its ext4; one that has it is checked (at once when it was cleanly unmounted). */
export async function makeMountable(path: string): Promise<void> {
  if (!(await exists(formattedMark(path)))) {
    await runTool("mkfs.ext4", [...formatOptions, ...formatFeatures, path]);
    await writeFile(formattedMark(path), "");
    return;
  }
  await checkFileSystem(path);
}

const formattedMark = (path: string): string => join(path, "..", "formatted");

/** Statuses 1 and 2 mean mended; what is worse stands in the message. */
async function checkFileSystem(path: string, ...how: string[]): Promise<void> {
  const script = 'e2fsck -p "$@" >/dev/null 2>&1 || [ $? -le 2 ]';
  await runTool("sh", ["-c", script, "e2fsck", ...how, path], 600_000);
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** @returns the folder, created, without links in its name and closed to others */
export async function ownFolder(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o711);
  return realpath(dir);
}
