// Walks the L1 and L2 tables of a qcow2 file: every entry in bounds and aligned, no cluster past the end of the file.
// qemu-img exits 0 and gives zeros where a cluster is cut off; here that is ImageTruncated.
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../lib/faults.ts";
import { compressedRange, hostOffset, isCompressed, isZeroMarked } from "../qcow2/entries.ts";
import { headerBytes, l2EntryBytes, neededL1Entries, readHeader, type Qcow2Header } from "../qcow2/header.ts";
import { withTables, windowBytes, type TableReader } from "./table-reader.ts";

const turnsAtOnce = 64;

export interface WalkedImage {
  header: Qcow2Header;
  /** Guest bytes that clusters with data of their own cover. */
  dataBytes: number;
}

/** @throws Fault ImageTruncated, ImageCorrupt, ImageRefused; the signal's reason */
export async function walkTables(path: string, signal: AbortSignal): Promise<WalkedImage> {
  return await withTables(path, async (reader) => {
    const size = reader.fileBytes;
    const header = readHeader(await reader.read(0, Math.min(headerBytes, size), "header"));
    const clusters = await walkL1(header, reader, size, signal);
    return { header, dataBytes: clusters * header.clusterBytes };
  });
}

async function walkL1(
  header: Qcow2Header,
  reader: TableReader,
  fileBytes: number,
  signal: AbortSignal,
): Promise<number> {
  const { clusterBytes, l1Offset, virtualSizeBytes } = header;
  const entriesPerL2 = clusterBytes / l2EntryBytes(header);
  const coveredBytes = entriesPerL2 * clusterBytes;
  const count = neededL1Entries(header);
  const step = windowBytes / 8;
  let clusters = 0;
  for (let first = 0; first < count; first += step) {
    const some = Math.min(step, count - first);
    // A copy: reading the L2 tables moves the window.
    const l1 = Buffer.from(await reader.read(l1Offset + first * 8, some * 8, "L1 table"));
    // In the file's order: a hostile L1 that jumps to and fro would have the window read for every entry.
    for (const [turn, { index, l2Offset }] of inFileOrder(l1).entries()) {
      if (l2Offset % clusterBytes !== 0)
        throw damaged(`L1 entry ${first + index} points to ${l2Offset}, which no cluster begins at`);
      // Tables within the window are read without waiting for anything: metrics and signals need their turns.
      if (turn % turnsAtOnce === 0) await setImmediate();
      signal.throwIfAborted();
      // Small tables come from the window at once: timers and the abort get their turn all the same.
      if (index % 1024 === 0) await setImmediate();
      const begin = (first + index) * coveredBytes;
      const entries = Math.min(entriesPerL2, Math.ceil((virtualSizeBytes - begin) / clusterBytes));
      const l2 = await reader.read(l2Offset, entries * l2EntryBytes(header), `L2 table ${first + index}`);
      clusters += checkL2(header, l2, entries, begin, fileBytes);
    }
  }
  return clusters;
}

function inFileOrder(l1: Buffer): { index: number; l2Offset: number }[] {
  const used: { index: number; l2Offset: number }[] = [];
  for (let index = 0; index < l1.length / 8; index += 1) {
    const l2Offset = hostOffset(l1, index * 8);
    if (l2Offset !== 0) used.push({ index, l2Offset });
  }
  return used.sort((one, other) => one.l2Offset - other.l2Offset);
}

function checkL2(header: Qcow2Header, l2: Buffer, entries: number, begin: number, fileBytes: number): number {
  const { clusterBits, clusterBytes, extendedL2, version } = header;
  let clusters = 0;
  for (let index = 0; index < entries; index += 1) {
    const at = index * (extendedL2 ? 16 : 8);
    if (isCompressed(l2, at)) {
      const { offset, length } = compressedRange(l2, at, clusterBits);
      // The length is in whole sectors, which a writer need not fill. qemu-img takes zeros for one that is not there, and some
      // deflate streams go on into them: wrong bytes, exit status 0.
      if (offset + length - fileBytes >= 512) throw cutOff(begin + index * clusterBytes, offset, fileBytes);
      clusters += 1;
      continue;
    }
    const offset = hostOffset(l2, at);
    if (offset === 0) continue;
    if (offset % clusterBytes !== 0)
      throw damaged(`the cluster for guest offset ${begin + index * clusterBytes} lies at ${offset}, unaligned`);
    const isRead = extendedL2 ? l2.readUInt32BE(at + 12) !== 0 : version === 2 || !isZeroMarked(l2, at);
    if (isRead && offset >= fileBytes) throw cutOff(begin + index * clusterBytes, offset, fileBytes);
    if (isRead) clusters += 1;
  }
  return clusters;
}

const damaged = (what: string): Fault => new Fault("ImageCorrupt", `the image's tables are damaged: ${what}`);
const cutOff = (guest: number, offset: number, fileBytes: number): Fault =>
  new Fault(
    "ImageTruncated",
    `the cluster for guest offset ${guest} lies at ${offset}, past the end of the file (${fileBytes} bytes)`,
  );
