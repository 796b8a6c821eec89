// What every inspector gives, and the words they share when they turn an image down.
import { Fault } from "../../lib/faults.ts";
import type { ConvertDriver } from "../qemu-img.ts";

export interface HeadSeen {
  /** Absent where the head does not tell it. */
  virtualSizeBytes?: number;
  /** For the log: odd, and no reason to refuse. */
  notices?: readonly string[];
}

export interface Walked {
  virtualSizeBytes: number;
  /** Guest bytes that blocks with data of their own cover. */
  dataBytes: number;
  /** What qemu's driver must be told beside the file's name. */
  driverOptions?: Readonly<Record<string, string>>;
}

export interface Inspector {
  /** qemu's name of the format. */
  readonly driver: ConvertDriver;
  /** @param head the first bytes of the image, 64 KiB where it has as many @throws Fault ImageRefused, ImageCorrupt, ImageTruncated */
  readHead(head: Buffer): HeadSeen;
  /** The whole file: its head again, and every entry of its tables. @throws Fault as readHead; the signal's reason */
  walk(path: string, signal: AbortSignal): Promise<Walked>;
}

/** No table that qemu-img holds in memory as a whole may be larger, bytes. */
export const mostTableBytes = 32 * 1024 * 1024;

export const corrupt = (what: string): Fault => new Fault("ImageCorrupt", `the image is damaged: ${what}`);
export const refused = (what: string): Fault => new Fault("ImageRefused", `the image ${what}`);
/** @param how what says that it needs another file */
export const refusedParent = (how: string): Fault =>
  refused(`is invalid because it has invalid backing file: ${how}; images that refer to other files are refused`);
export const cutInside = (gotBytes: number, what: string): Fault =>
  new Fault("ImageTruncated", `the image ends at byte ${gotBytes}, within its ${what}`);

/** @throws Fault ImageTruncated when the block is not there as a whole: qemu-img would read zeros for what is missing */
export function needBlock(guestOffset: number, offset: number, lengthBytes: number, fileBytes: number): void {
  if (offset + lengthBytes <= fileBytes) return;
  const where = `the block for guest offset ${guestOffset} lies at ${offset} to ${offset + lengthBytes}`;
  throw new Fault("ImageTruncated", `${where}, past the end of the file (${fileBytes} bytes)`);
}

export const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));
/** Of a block at `guestOffset`, the bytes that belong to the disk. */
export const partOfDisk = (guestOffset: number, blockBytes: number, virtualSizeBytes: number): number =>
  Math.max(0, Math.min(blockBytes, virtualSizeBytes - guestOffset));
