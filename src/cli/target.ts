// The TARGET of `cdi import`: a file, or a block device held for ourselves alone.
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { bearsData, blockSink, filesystemSink } from "../datapath/index.ts";
import type { Sink } from "../datapath/index.ts";
import { Fault } from "../lib/faults.ts";

export interface TargetWishes {
  /** Size of the disk, bytes: bounds the image and grows a smaller one. Absent: the image's own. */
  readonly size: number | undefined;
  readonly preallocate: boolean;
  /** Replace what is there. */
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
}

/** @throws Fault TargetInUse where data would be lost, TargetReadOnly or TargetIo where it cannot be opened */
export async function openTarget(text: string, { size, preallocate, overwrite, signal }: TargetWishes): Promise<Sink> {
  const path = resolve(text);
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new Fault("TargetReadOnly", `target ${JSON.stringify(text)} cannot be looked at: ${cause.message}`, {
      cause,
    });
  });
  if (found && !found.isFile() && !found.isBlockDevice()) {
    throw new Fault("TargetReadOnly", `target ${JSON.stringify(text)} is neither a file nor a block device`);
  }
  const shared = { preallocate, signal };
  if (!found?.isBlockDevice()) {
    if (!overwrite && (await bearsData(path))) throw holdsData(text);
    return await filesystemSink({ folder: dirname(path), fileName: basename(path), requestBytes: size, ...shared });
  }
  // Held alone before it is looked at: a mounted device is refused as such.
  const sink = await blockSink({ path, ...shared });
  try {
    if (size !== undefined && sink.availableBytes < size) {
      throw new Fault("TargetTooSmall", `${text} has ${sink.availableBytes} bytes, --size asks for ${size}`);
    }
    if (!overwrite && (await bearsData(path))) throw holdsData(text);
    return sink;
  } catch (cause) {
    await sink.discard();
    throw cause;
  }
}

const holdsData = (text: string): Fault =>
  new Fault("TargetInUse", `target ${JSON.stringify(text)} bears data; --overwrite replaces it`);
