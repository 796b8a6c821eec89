// How much a file system can take, and what already lies on a target.
import { constants, type BigIntStats } from "node:fs";
import { lstat, open, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, syscalls } from "../../lib/syscalls.ts";
import type { Syscalls } from "../../lib/syscalls.ts";
import { isZero, MIB } from "./zero-blocks.ts";

/** lstat, or undefined where there is nothing. */
export async function lstatIfAny(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
}

const allocatedOf = (found: BigIntStats | undefined): number => (found?.isFile() ? Number(found.blocks) * 512 : 0);

/** Bytes a file takes on its disk; 0 where there is no such file. */
export const allocatedBytesOf = async (path: string): Promise<number> => allocatedOf(await lstatIfAny(path));

/**
 * Bytes that can still be stored in a folder, counting `replaced` (leftovers and the file about to be replaced) as free.
 * @param volumeBytes size of a volume that is a mere folder of the host; without it the file system tells
 */
export async function freeBytesOf(folder: string, replaced: string[], volumeBytes?: number): Promise<number> {
  if (volumeBytes !== undefined) return Math.max(0, volumeBytes - (await usedBytesOf(folder, new Set(replaced))));
  const { bavail, bsize } = await statfs(folder);
  let freeBytes = bavail * bsize;
  for (const name of replaced) freeBytes += await allocatedBytesOf(join(folder, name));
  return freeBytes;
}

/** A fresh file system keeps less than this for itself (ext4 nothing, xfs a few hundredths). */
const ownShare = 0.1;

/**
 * Bytes an ordinary user could store in a file system if nothing lay on it. Undefined where next to nothing lies there: then
 * what is missing is not what others took.
 * @param freeBytes as freeBytesOf says
 */
export async function emptyBytesOf(folder: string, freeBytes: number): Promise<number | undefined> {
  const { blocks, bfree, bavail, bsize } = await statfs(folder);
  const totalBytes = (blocks - (bfree - bavail)) * bsize;
  return totalBytes - freeBytes > totalBytes * ownShare ? totalBytes : undefined;
}

async function usedBytesOf(folder: string, left: ReadonlySet<string>): Promise<number> {
  let usedBytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (left.has(entry.name)) continue;
    const path = join(folder, entry.name);
    usedBytes += entry.isDirectory() ? await usedBytesOf(path, new Set()) : await allocatedBytesOf(path);
  }
  return usedBytes;
}

/** Size in bytes of an open block device, or of a plain file standing in for one. */
export async function targetSizeOf(
  handle: { fd: number; stat(): Promise<{ isFile(): boolean; size: number }> },
  calls: Syscalls,
): Promise<number> {
  const found = await handle.stat();
  return found.isFile() ? found.size : calls.deviceSizeBytes(handle.fd);
}

/**
 * Whether something would be lost by writing here: a file with bytes, or a device whose first or last MiB is not all zero.
 * Anything else that exists (a folder, a pipe) counts as bearing data. @throws the errno of a path that cannot be read
 */
export async function bearsData(path: string, calls: Syscalls = syscalls()): Promise<boolean> {
  if (!(await lstatIfAny(path))) return false;
  const found = await stat(path);
  if (found.isFile()) return found.size > 0;
  if (!found.isBlockDevice()) return true;
  const handle = await open(path, constants.O_RDONLY);
  try {
    const sizeBytes = calls.deviceSizeBytes(handle.fd);
    const bytes = Buffer.alloc(Math.min(MIB, sizeBytes));
    for (const offset of [0, sizeBytes - bytes.length]) {
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      if (!isZero(bytes, 0, bytesRead)) return true;
    }
    return false;
  } finally {
    await handle.close();
  }
}
