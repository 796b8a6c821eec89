// What a resumable upload leaves so that a killed server's successor knows it: its id and its size. How far its bytes are safe is
// the checkpoint's to say. It is volume content, so it is read as hostile; it is gone before the disk is finished.
import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

export interface UploadRecord {
  readonly id: string;
  readonly sizeBytes: number;
  /** As the client named it, "" for none. */
  readonly fileName: string;
}

const version = 2;
const longestRecord = 4096;
const name = "disk.img.upload";

export interface RecordPlace {
  /** @returns undefined when there is none, or none of ours */
  read(): Promise<UploadRecord | undefined>;
  /** Safe on the disk when it resolves. @throws the file system's error */
  write(record: UploadRecord): Promise<void>;
  remove(): Promise<void>;
}

export function recordIn(folder: string): RecordPlace {
  const path = join(folder, name);
  const beside = `${path}.new`;
  const removeIfAny = async (one: string): Promise<void> => {
    await unlink(one).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT") throw cause;
    });
  };
  return {
    async read() {
      const text = await readShort(path);
      return text === undefined ? undefined : parse(text);
    },
    async write(record) {
      await removeIfAny(beside);
      const handle = await open(
        beside,
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
        0o600,
      );
      try {
        await handle.writeFile(JSON.stringify({ version, ...record }));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(beside, path);
      await syncFolder(folder);
    },
    async remove() {
      await removeIfAny(beside);
      await removeIfAny(path);
    },
  };
}

async function readShort(path: string): Promise<string | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ELOOP") return undefined;
    throw cause;
  });
  if (!handle) return undefined;
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(longestRecord), 0, longestRecord, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function parse(text: string): UploadRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
  const record = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const { id, sizeBytes, fileName } = record;
  const isSound =
    record.version === version &&
    typeof id === "string" &&
    /^[\w-]{16,64}$/.test(id) &&
    typeof fileName === "string" &&
    isSize(sizeBytes);
  return isSound ? { id, sizeBytes, fileName } : undefined;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
