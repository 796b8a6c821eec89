// What the 8-byte entries of qcow2's tables say. Offsets are of the image file, in bytes.

const wordBytes = 2 ** 32;

/** Host offset in an L1 or a standard L2 entry: bits 9 to 55. Past 2^53 it loses digits, which no file reaches. */
export const hostOffset = (table: Buffer, at: number): number =>
  (table.readUInt32BE(at) & 0x00ff_ffff) * wordBytes + ((table.readUInt32BE(at + 4) & 0xffff_fe00) >>> 0);

export const isCompressed = (table: Buffer, at: number): boolean => (table.readUInt32BE(at) & 0x4000_0000) !== 0;
/** The cluster reads as zeros, whatever its offset (version 3). */
export const isZeroMarked = (table: Buffer, at: number): boolean => (table.readUInt8(at + 7) & 1) !== 0;

/** Where a compressed cluster's bytes lie; the length is rounded up to whole sectors, so it may hold junk at its end. */
export function compressedRange(table: Buffer, at: number, clusterBits: number): { offset: number; length: number } {
  const entry = table.readBigUInt64BE(at) & 0x3fff_ffff_ffff_ffffn;
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const offset = Number(entry & ((1n << offsetBits) - 1n));
  const sectors = Number(entry >> offsetBits) + 1;
  return { offset, length: sectors * 512 - (offset % 512) };
}
