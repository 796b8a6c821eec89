// The sink of a Filesystem volume: fills `<name>.part`, and renames it to `<name>` only when every byte is on the disk.
import { constants } from "node:fs";
import { open, rename, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { silentLog } from "../../lib/log.ts";
import type { Log } from "../../lib/log.ts";
import { codeOf, isUnsupported, syscalls } from "../../lib/syscalls.ts";
import type { Syscalls } from "../../lib/syscalls.ts";
import type { Sink, SinkMark, SinkResult } from "../types.ts";
import { availableOf, growthTargetOf } from "./growth.ts";
import { RawTarget } from "./raw-target.ts";
import { targetFault, tooSmall } from "./target-faults.ts";
import { allocatedBytesOf, freeBytesOf, emptyBytesOf } from "./target-space.ts";

export interface FilesystemSinkOptions {
  folder: string;
  /** Default `disk.img`. */
  fileName?: string;
  /** What the claim asked for: bounds the image, and smaller disks grow towards it. Default: no bound and no growth. */
  requestBytes?: number | undefined;
  /** The share the file system keeps for itself; 0.06 = 6 %. Default 0. */
  overhead?: number;
  /** Allocate every byte of the disk, the grown part too. Default false. */
  preallocate?: boolean;
  /** Size of the volume where it is a mere folder of the host; default: what the file system says. */
  volumeBytes?: number | undefined;
  /** Ends the long passes of preallocation. */
  signal?: AbortSignal;
  log?: Log;
  /** Default: those of this machine. */
  calls?: Syscalls;
}

/** Read and write for owner and group: a volume's fsGroup is how a virtual machine gets at its disk. */
const DISK_MODE = 0o660;

/** @throws Fault when the folder cannot be read */
export async function filesystemSink(options: FilesystemSinkOptions): Promise<Sink> {
  const { folder, fileName = "disk.img", requestBytes, overhead = 0, preallocate = false } = options;
  const { log = silentLog, calls = syscalls() } = options;
  const path = join(folder, fileName);
  const partPath = `${path}.part`;
  const freeBytes = await guarded(`look at ${folder}`, () =>
    freeBytesOf(folder, [fileName, `${fileName}.part`, `${fileName}.part.checkpoint`], options.volumeBytes),
  );
  const room = { freeBytes, requestBytes, overhead };
  const availableBytes = availableOf(room);
  const wholeBytes =
    options.volumeBytes === undefined
      ? await guarded(`look at ${folder}`, () => emptyBytesOf(folder, freeBytes))
      : undefined;
  const emptyBytes = wholeBytes === undefined ? undefined : availableOf({ ...room, freeBytes: wholeBytes });
  const growthBytes = growthTargetOf(room);
  let target: RawTarget | undefined;
  let writtenBytes = 0;
  let sizeBytes = 0;
  /** Preallocation asked for, and fallocate refused: zeros are written instead. */
  let fillByHand = false;

  const opened = (): RawTarget => {
    if (!target) throw new Error("begin() comes before writing");
    return target;
  };

  async function allocate(raw: RawTarget, bytes: number): Promise<void> {
    if (!preallocate || fillByHand || bytes === 0) return;
    await raw.step("allocate", async () => {
      try {
        await calls.allocate(raw.handle.fd, "plain", 0, bytes);
      } catch (cause) {
        if (!isUnsupported(cause)) throw cause;
        log.info("Writing zeros to preallocate: the file system has no fallocate", { path });
        fillByHand = true;
      }
    });
  }

  async function begin(virtualSizeBytes: number): Promise<RawTarget> {
    if (virtualSizeBytes > availableBytes) throw tooSmall(virtualSizeBytes, availableBytes);
    await target?.close();
    target = undefined;
    // The file of an earlier import goes first: its space was counted as free, and it must not pass for this one's result.
    await guarded(`replace ${path}`, async () => {
      await unlinkIfAny(partPath);
      await unlinkIfAny(path);
    });
    const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_CREAT | constants.O_EXCL;
    const handle = await guarded(`create ${partPath}`, () => open(partPath, flags, 0o600));
    target = new RawTarget({
      handle,
      path: partPath,
      calls,
      limitBytes: availableBytes,
      skipZeros: !preallocate,
      stale: false,
      signal: options.signal,
    });
    fillByHand = false;
    sizeBytes = virtualSizeBytes;
    await target.step("truncate", () => handle.truncate(virtualSizeBytes));
    await allocate(target, Math.max(virtualSizeBytes, growthBytes));
    return target;
  }

  async function goOn(from: SinkMark, placedBytes?: number): Promise<boolean> {
    if (from.virtualSizeBytes > availableBytes) return false;
    await target?.close();
    target = undefined;
    const handle = await openPart(partPath, from.sizeBytes);
    if (!handle) return false;
    await guarded(`replace ${path}`, () => unlinkIfAny(path));
    const skipZeros = !preallocate;
    target = new RawTarget({
      handle,
      path: partPath,
      calls,
      limitBytes: availableBytes,
      skipZeros,
      stale: false,
      isBegun: true,
      signal: options.signal,
    });
    target.writtenBytes = from.writtenBytes;
    target.endBytes = placedBytes ?? 0;
    sizeBytes = from.virtualSizeBytes;
    // What was written behind it is written again, or was never to be.
    if (placedBytes !== undefined && skipZeros) {
      await target.step("truncate", () => handle.truncate(placedBytes));
      await target.step("truncate", () => handle.truncate(Math.max(placedBytes, sizeBytes)));
    }
    return true;
  }

  async function mark(): Promise<SinkMark | undefined> {
    const raw = opened();
    // The next process would not know which blocks are still to be filled.
    if (fillByHand) return undefined;
    await raw.sync();
    const { writtenBytes: written } = raw;
    const found = await guarded(`look at ${partPath}`, () => raw.handle.stat());
    return { virtualSizeBytes: sizeBytes, sizeBytes: found.size, writtenBytes: written };
  }

  async function commit(): Promise<SinkResult> {
    const raw = opened();
    await raw.flush();
    const finalBytes = Math.max(sizeBytes, raw.endBytes, growthBytes);
    // Also cuts the tail which a writer with direct I/O rounds up to its block.
    await raw.step("truncate", () => raw.handle.truncate(finalBytes));
    await allocate(raw, finalBytes);
    if (fillByHand) await raw.fillUnwritten(finalBytes);
    await raw.step("chmod", () => raw.handle.chmod(DISK_MODE));
    await raw.step("fsync", () => raw.handle.sync());
    const allocatedBytes = await guarded(`look at ${partPath}`, () => allocatedBytesOf(partPath));
    writtenBytes = raw.writtenBytes;
    target = undefined;
    await guarded(`close ${partPath}`, () => raw.close());
    await guarded(`rename ${partPath}`, async () => {
      await rename(partPath, path);
      await syncFolder(folder);
    });
    log.info(`Successfully completed fsync(${path}) syscall`, { allocatedBytes, sizeBytes: finalBytes });
    return { allocatedBytes, sizeBytes: finalBytes, preallocated: preallocate };
  }

  return {
    kind: "filesystem",
    path,
    availableBytes,
    ...(emptyBytes === undefined ? {} : { emptyBytes }),
    get writtenBytes() {
      return target?.writtenBytes ?? writtenBytes;
    },
    async begin(virtualSizeBytes) {
      await begin(virtualSizeBytes);
    },
    write: async (offset, bytes) => opened().write(offset, bytes),
    read: async (offset, into) => opened().read(offset, into),
    zero: async (offset, length) => opened().zero(offset, length),
    async lend(virtualSizeBytes) {
      const raw = target && sizeBytes === virtualSizeBytes ? target : await begin(virtualSizeBytes);
      await raw.flush();
      if (fillByHand) await raw.fillUnwritten(Math.max(virtualSizeBytes, growthBytes));
      return { path: partPath, readsAsZeros: true };
    },
    commit,
    mark,
    goOn,
    async rest() {
      await target?.close().catch((cause: unknown) => {
        log.warn("Closing the unfinished disk failed", { path: partPath, error: String(cause) });
      });
      target = undefined;
    },
    async discard() {
      const complain = (cause: unknown) =>
        log.warn("Removing the unfinished disk failed", { path: partPath, error: String(cause) });
      await target?.close().catch(complain);
      target = undefined;
      await unlinkIfAny(partPath)
        .then(() => syncFolder(folder))
        .catch(complain);
    },
  };
}

/** @returns undefined unless it is a plain file of ours, with nobody else's name on it, and as long as it was */
async function openPart(path: string, leastBytes: number): Promise<FileHandle | undefined> {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((cause: unknown) => {
    if (["ENOENT", "ELOOP", "ENXIO", "EISDIR"].includes(codeOf(cause) ?? "")) return undefined;
    throw targetFault(cause, `open ${path}`);
  });
  const found = await handle?.stat();
  if (found?.isFile() && found.nlink === 1 && found.size >= leastBytes) return handle;
  await handle?.close();
  return undefined;
}

async function guarded<T>(place: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw targetFault(cause, place);
  }
}

async function unlinkIfAny(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
