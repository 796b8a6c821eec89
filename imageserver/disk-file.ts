// Which file of the image under import is its disk: the only one in its folder (interfaces/registry.md sections 3 and 5).
import { constants } from "node:fs";
import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { bootcRefused, cannotLocate, noDiskBecause } from "../src/contract/image-texts.ts";
import { Fault } from "../src/lib/faults.ts";

export interface DiskFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly changedMs: number;
  /** Changes whenever the file does, and with each time a node unpacks the image. Hex. */
  readonly id: string;
  readonly handle: FileHandle;
}

/** Folders of an image that boots by itself. */
const bootableFolders = ["/sysroot", "/ostree"];

/**
 * Opens it. @param root of the image, "/" but in tests
 * @throws Fault NoDiskInImage, ImageRefused, SourceUnreadable with upstream's words
 */
export async function openDiskFile(folder: string, root = "/"): Promise<DiskFile> {
  for (const name of bootableFolders) {
    if (await isFolder(join(root, name))) {
      throw new Fault("ImageRefused", `${bootcRefused}: the image has ${name}`);
    }
  }
  const name = await onlyFileIn(folder);
  const path = join(folder, name);
  // A pipe would keep us waiting for whoever writes to it.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    const found = await handle.stat({ bigint: true });
    if (!found.isFile()) throw new Fault("NoDiskInImage", `${cannotLocate}: ${path} is not a regular file`);
    const marks = [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(" ");
    return {
      name,
      sizeBytes: Number(found.size),
      changedMs: Number(found.mtimeMs),
      id: createHash("sha256").update(marks).digest("hex").slice(0, 32),
      handle,
    };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

async function onlyFileIn(folder: string): Promise<string> {
  const none = (what: string): Fault => new Fault("NoDiskInImage", `${cannotLocate}: ${what}`);
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") throw none(noDiskBecause.folderMissing);
    throw unreadable(folder, cause);
  });
  const [entry] = entries;
  if (!entry) throw none(noDiskBecause.folderEmpty);
  if (entries.length > 1) throw none(noDiskBecause.severalFiles);
  if (entry.isDirectory()) throw none(noDiskBecause.folderInside);
  if (entry.name.trim() === "") throw none(noDiskBecause.nameBlank);
  return entry.name;
}

const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false, // not there, or not to be looked at: then nothing says that the image boots
  );

const unreadable = (path: string, cause: unknown): Fault =>
  new Fault("SourceUnreadable", `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
