// What the entries of qcow2's tables say, and the checks each of them must pass. Offsets are of the image file, in bytes.
import { Fault } from "../../lib/faults.ts";
import { l2EntryBytes, type Qcow2Header } from "./header.ts";

const wordBytes = 2 ** 32;

/** Host offset in an L1 or a standard L2 entry: bits 9 to 55. Past 2^53 it loses digits, which no file reaches. */
export const hostOffset = (table: Buffer, at: number): number =>
  (table.readUInt32BE(at) & 0x00ff_ffff) * wordBytes + ((table.readUInt32BE(at + 4) & 0xffff_fe00) >>> 0);

const isCompressed = (table: Buffer, at: number): boolean => (table.readUInt32BE(at) & 0x4000_0000) !== 0;
/** The cluster reads as zeros, whatever its offset (version 3). */
const isZeroMarked = (table: Buffer, at: number): boolean => (table.readUInt8(at + 7) & 1) !== 0;

/** Where a compressed cluster's bytes lie; the length is rounded up to whole sectors, so it may hold junk at its end. */
function compressedRange(table: Buffer, at: number, clusterBits: number): { offset: number; length: number } {
  const high = table.readUInt32BE(at) & 0x3fff_ffff;
  // 30 bits of the upper word: the offset's upper part below, 17 to 29 bits of it, the count of sectors above.
  const upperBits = 62 - (clusterBits - 8) - 32;
  const offset = (high & (2 ** upperBits - 1)) * wordBytes + table.readUInt32BE(at + 4);
  return { offset, length: ((high >>> upperBits) + 1) * 512 - (offset % 512) };
}

/** What the bytes at a host offset are: one of these numbers, so that plans can keep it beside a length. */
export const entryKinds = { standard: 0, compressed: 1, l1: 2, l2: 3 } as const;
export type EntryKind = (typeof entryKinds)[keyof typeof entryKinds];

/** Called for each stretch of bytes that the disk is made of; `length` is of the host's bytes. */
export type SeeEntry = (kind: EntryKind, host: number, length: number, guest: number) => void;

/** Guest bytes that one L2 table covers. */
export const coveredBytes = (header: Qcow2Header): number =>
  header.clusterBytes * (header.clusterBytes / l2EntryBytes(header));
/** Bytes of an L2 table that matter: the last one covers what is past the disk's end, too. */
export const l2BytesFor = (header: Qcow2Header, guestBegin: number): number =>
  Math.ceil(Math.min(coveredBytes(header), header.virtualSizeBytes - guestBegin) / header.clusterBytes) *
  l2EntryBytes(header);

/** Entries that a table of so many bytes can lead to at most: every other subcluster begins a stretch of its own. */
export const mostEntriesOf = (header: Qcow2Header, kind: EntryKind, tableBytes: number): number =>
  kind === entryKinds.l2 && header.extendedL2 ? tableBytes : tableBytes / 8;

/**
 * Tells of the L2 tables that a piece of the L1 table points to.
 * @param firstIndex of the piece's first entry
 * @throws Fault ImageCorrupt
 */
export function eachTable(header: Qcow2Header, l1: Buffer, firstIndex: number, see: SeeEntry): void {
  for (let at = 0; at < l1.length; at += 8) {
    const host = hostOffset(l1, at);
    if (host === 0) continue;
    const index = firstIndex + at / 8;
    if (host % header.clusterBytes !== 0)
      throw damaged(`L1 entry ${index} points to ${host}, which no cluster begins at`);
    const guest = index * coveredBytes(header);
    see(entryKinds.l2, host, l2BytesFor(header, guest), guest);
  }
}

/**
 * Tells of the data that an L2 table points to, in the disk's order. What reads as zeros is left out.
 * @param fileBytes Infinity while unknown; then `checkInFile` is to be asked later
 * @returns guest clusters that have data of their own
 * @throws Fault ImageTruncated, ImageCorrupt
 */
export function eachCluster(
  header: Qcow2Header,
  l2: Buffer,
  guestBegin: number,
  fileBytes: number,
  see: SeeEntry,
): number {
  const { clusterBytes, clusterBits, extendedL2, virtualSizeBytes } = header;
  const entryBytes = l2EntryBytes(header);
  let clusters = 0;
  for (let at = 0, guest = guestBegin; at < l2.length; at += entryBytes, guest += clusterBytes) {
    if (isCompressed(l2, at)) {
      const { offset, length } = compressedRange(l2, at, clusterBits);
      checkInFile(header, entryKinds.compressed, offset, length, guest, fileBytes);
      see(entryKinds.compressed, offset, length, guest);
      clusters += 1;
      continue;
    }
    const host = hostOffset(l2, at);
    if (host % clusterBytes !== 0) throw damaged(`the cluster for guest offset ${guest} lies at ${host}, unaligned`);
    const bits = subclusters(header, l2, at, guest);
    if (bits === 0 || host === 0) continue;
    checkInFile(header, entryKinds.standard, host, clusterBytes, guest, fileBytes);
    clusters += 1;
    const most = Math.min(clusterBytes, virtualSizeBytes - guest);
    if (bits === allSubclusters) see(entryKinds.standard, host, most, guest);
    else if (extendedL2)
      eachRun(bits, clusterBytes / 32, most, (from, length) =>
        see(entryKinds.standard, host + from, length, guest + from),
      );
  }
  return clusters;
}

/**
 * A cluster wholly past the end of the file is cut off; of one that is there in part the rest reads as zeros. qemu-img takes
 * zeros for both, and some deflate streams go on into them: wrong bytes, exit status 0.
 * @throws Fault ImageTruncated
 */
export function checkInFile(
  { clusterBytes }: Qcow2Header,
  kind: EntryKind,
  host: number,
  length: number,
  guest: number,
  fileBytes: number,
): void {
  // A compressed length is in whole sectors, which a writer need not fill.
  const isCut =
    kind === entryKinds.compressed
      ? host >= fileBytes || host + length - fileBytes >= 512
      : Math.floor((host + length - 1) / clusterBytes) * clusterBytes >= fileBytes;
  if (!isCut) return;
  throw new Fault(
    "ImageTruncated",
    `the cluster for guest offset ${guest} lies at ${host}, past the end of the file (${fileBytes} bytes)`,
  );
}

const allSubclusters = 0xffff_ffff;

/** @returns a bit for each 32nd of the cluster that has data */
function subclusters(header: Qcow2Header, l2: Buffer, at: number, guest: number): number {
  if (!header.extendedL2) {
    if (!isZeroMarked(l2, at)) return allSubclusters;
    if (header.version === 2) throw damaged(`guest offset ${guest} is marked as zeros, which version 2 does not have`);
    return 0;
  }
  const zeros = l2.readUInt32BE(at + 8);
  const bits = l2.readUInt32BE(at + 12);
  if ((zeros & bits) !== 0) throw damaged(`subclusters at guest offset ${guest} are both data and zeros`);
  return bits;
}

function eachRun(bits: number, subBytes: number, mostBytes: number, see: (from: number, length: number) => void): void {
  for (let index = 0; index < 32;) {
    const begin = index;
    while (index < 32 && ((bits >>> index) & 1) === 1) index += 1;
    const length = Math.min(index * subBytes, mostBytes) - begin * subBytes;
    if (length > 0) see(begin * subBytes, length);
    if (index === begin) index += 1;
  }
}

const damaged = (what: string): Fault => new Fault("ImageCorrupt", `the image's tables are damaged: ${what}`);
