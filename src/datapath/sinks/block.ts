// The sink of a Block volume: empties the device, writes what is not zero, and answers for every byte it did not write.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { Fault } from "../../lib/faults.ts";
import { silentLog } from "../../lib/log.ts";
import type { Log } from "../../lib/log.ts";
import { codeOf, isUnsupported, syscalls } from "../../lib/syscalls.ts";
import type { Syscalls } from "../../lib/syscalls.ts";
import type { Sink, SinkMark, SinkResult } from "../types.ts";
import { RawTarget } from "./raw-target.ts";
import { targetFault, tooSmall } from "./target-faults.ts";
import { allocatedBytesOf, targetSizeOf } from "./target-space.ts";
import { MIB, zeroMiB } from "./zero-blocks.ts";

export interface BlockSinkOptions {
  /** A block device, or a plain file standing in for one. */
  path: string;
  /** Write zeros to every byte the image does not write. Default false. */
  preallocate?: boolean;
  /** Ends the long passes over the device. */
  signal?: AbortSignal;
  log?: Log;
  /** Default: those of this machine. */
  calls?: Syscalls;
}

/** Devices are emptied in steps of this, so that a cancelled import of a huge one ends soon. */
const EMPTY_STEP_BYTES = 16 * 1024 * MIB;

/** Opens the device for itself alone until commit or discard. @throws Fault `TargetInUse` when something else holds it */
export async function blockSink(options: BlockSinkOptions): Promise<Sink> {
  const { path, preallocate = false, log = silentLog, calls = syscalls(), signal } = options;
  let handle: FileHandle | undefined = await openAlone(path);
  const sizeBytes = await targetSizeOf(handle, calls).catch(async (cause: unknown) => {
    await handle?.close();
    throw targetFault(cause, `look at ${path}`);
  });
  let target: RawTarget | undefined;
  /** The device still holds what it held before: the rest is read and zeroed in the end. */
  let stale = false;
  let virtualBytes = 0;

  const opened = (): RawTarget => {
    if (!target) throw new Error("begin() comes before writing");
    return target;
  };

  async function begin(virtualSizeBytes: number): Promise<RawTarget> {
    if (virtualSizeBytes > sizeBytes) throw tooSmall(virtualSizeBytes, sizeBytes);
    if (!handle) throw new Error("the device is closed");
    await target?.leave();
    virtualBytes = virtualSizeBytes;
    stale = !(await emptyDevice(handle.fd));
    const skipZeros = !preallocate;
    target = new RawTarget({ handle, path, calls, limitBytes: sizeBytes, skipZeros, stale, signal });
    return target;
  }

  /** @returns whether the device reads as zeros now */
  async function emptyDevice(fd: number): Promise<boolean> {
    try {
      await overDevice((offset, length) => calls.allocate(fd, "punch", offset, length));
      return true;
    } catch (cause) {
      if (signal?.aborted) throw cause;
      if (!isUnsupported(cause)) throw targetFault(cause, `punch ${path}`);
    }
    try {
      await overDevice((offset, length) => calls.discardBlocks(fd, offset, length));
    } catch (cause) {
      if (signal?.aborted) throw cause;
      if (!isUnsupported(cause)) throw targetFault(cause, `discard ${path}`);
    }
    log.info("Reading what the image leaves out: the device cannot punch holes", { path });
    return false;
  }

  async function overDevice(act: (offset: number, length: number) => Promise<void>): Promise<void> {
    for (let at = 0; at < sizeBytes; at += EMPTY_STEP_BYTES) {
      signal?.throwIfAborted();
      await act(at, Math.min(EMPTY_STEP_BYTES, sizeBytes - at));
    }
  }

  async function goOn(from: SinkMark, keptBytes = 0): Promise<boolean> {
    if (from.sizeBytes !== sizeBytes || from.virtualSizeBytes > sizeBytes || preallocate) return false;
    if (!handle) throw new Error("the device is closed");
    await target?.leave();
    stale = false;
    target = new RawTarget({
      handle,
      path,
      calls,
      limitBytes: sizeBytes,
      skipZeros: true,
      stale,
      isBegun: true,
      signal,
    });
    target.writtenBytes = from.writtenBytes;
    target.endBytes = keptBytes;
    virtualBytes = from.virtualSizeBytes;
    return true;
  }

  async function mark(): Promise<SinkMark | undefined> {
    const raw = opened();
    // The next process would not know what it wrote, and what is still to be zeroed or filled.
    if (stale || preallocate) return undefined;
    await raw.sync();
    return { virtualSizeBytes: virtualBytes, sizeBytes, writtenBytes: raw.writtenBytes };
  }

  async function commit(): Promise<SinkResult> {
    const raw = opened();
    await raw.flush();
    if (preallocate) await raw.fillUnwritten(sizeBytes);
    else if (stale) await raw.clearUnwritten(sizeBytes);
    await raw.step("fdatasync", () => raw.handle.datasync());
    const isFile = (await raw.handle.stat()).isFile();
    await raw.close();
    handle = undefined;
    log.info(`Successfully completed fsync(${path}) syscall`, { sizeBytes });
    const result: SinkResult = { sizeBytes, preallocated: preallocate };
    return isFile ? { ...result, allocatedBytes: await allocatedBytesOf(path) } : result;
  }

  /** Spoils both ends, where partition tables and file systems have their marks. */
  async function spoil(): Promise<void> {
    // A descriptor that has seen an error must not be synced again: a fresh one takes its place.
    await (target ? target.close() : handle?.close());
    handle = undefined;
    const fresh = await openAlone(path);
    try {
      const length = Math.min(MIB, sizeBytes);
      for (const offset of [0, sizeBytes - length]) await zeroOut(fresh, offset, length, calls);
      await fresh.datasync();
    } finally {
      await fresh.close();
    }
  }

  return {
    kind: "block",
    path,
    availableBytes: sizeBytes,
    get writtenBytes() {
      return target?.writtenBytes ?? 0;
    },
    async begin(virtualSizeBytes) {
      await begin(virtualSizeBytes);
    },
    write: async (offset, bytes) => opened().write(offset, bytes),
    read: async (offset, into) => opened().read(offset, into),
    zero: async (offset, length) => opened().zero(offset, length),
    async lend(virtualSizeBytes) {
      if (target && virtualSizeBytes > sizeBytes) throw tooSmall(virtualSizeBytes, sizeBytes);
      const raw = target ?? (await begin(virtualSizeBytes));
      await raw.flush();
      if (stale) await raw.clearUnwritten(sizeBytes);
      stale = false;
      // With preallocation convertToRaw writes all of this; the rest is written at commit.
      raw.countAsWritten(0, virtualSizeBytes);
      return { path, readsAsZeros: true };
    },
    commit,
    mark,
    goOn,
    async rest() {
      await (target ? target.close() : handle?.close())?.catch((cause: unknown) => {
        log.warn("Closing the device failed", { path, error: String(cause) });
      });
      handle = undefined;
    },
    async discard() {
      if (!handle) return;
      try {
        if (target) await spoil();
        else await handle.close();
        handle = undefined;
      } catch (cause) {
        log.warn("Spoiling the unfinished disk failed", { path, error: String(cause) });
      }
    },
  };
}

async function openAlone(path: string): Promise<FileHandle> {
  try {
    // On a block device O_EXCL means: nobody else holds or mounts it (open(2)).
    return await open(path, constants.O_RDWR | constants.O_EXCL);
  } catch (cause) {
    if (codeOf(cause) === "EBUSY")
      throw new Fault("TargetInUse", `"${path}" is in use: device or resource busy`, { cause });
    throw targetFault(cause, `open ${path}`);
  }
}

async function zeroOut(handle: FileHandle, offset: number, length: number, calls: Syscalls): Promise<void> {
  try {
    await calls.allocate(handle.fd, "punch", offset, length);
  } catch (cause) {
    if (!isUnsupported(cause)) throw cause;
    for (let done = 0; done < length;) {
      done += (await handle.write(zeroMiB, done, length - done, offset + done)).bytesWritten;
    }
  }
}
