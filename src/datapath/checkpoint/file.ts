// The checkpoint's file: written so that it is there whole or not at all, read as something a stranger may have put there.
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../../lib/syscalls.ts";
import { longestCheckpointBytes } from "./record.ts";

const newName = (path: string): string => join(dirname(path), `${basename(path)}.new`);

/** @returns the bytes; undefined where there is no file. @throws when it is no plain file of a sensible size */
export async function readCheckpointFile(path: string): Promise<Buffer | undefined> {
  // A pipe would keep the reader waiting.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  });
  if (!handle) return undefined;
  try {
    const found = await handle.stat();
    if (!found.isFile() || found.nlink !== 1) throw new Error("it is not a file of its own");
    if (found.size > longestCheckpointBytes) throw new Error(`it has ${found.size} bytes`);
    const bytes = Buffer.alloc(found.size);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** All of it is on the disk when this resolves, or the one before still stands. */
export async function writeCheckpointFile(path: string, said: string | Buffer): Promise<void> {
  const fresh = newName(path);
  await rm(fresh, { force: true, recursive: true });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(fresh, flags, 0o600);
  try {
    await handle.writeFile(said);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, path);
  await syncFolderOf(path);
}

/** Gone for good when this resolves, whatever stood there. */
export async function removeCheckpointFile(path: string): Promise<void> {
  await rm(newName(path), { force: true, recursive: true });
  await rm(path, { force: true, recursive: true });
  await syncFolderOf(path);
}

async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
