// CRC-32C (Castagnoli), which VHDX guards its structures with; node:zlib has only the other CRC-32.

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f6_3b78 : value >>> 1;
  return value;
});

/** @param checksumAt the four bytes from here count as zeros: they hold the sum itself */
export function crc32c(bytes: Uint8Array, checksumAt: number): number {
  let sum = 0xffff_ffff;
  for (const [index, byte] of bytes.entries()) {
    const counted = index >= checksumAt && index < checksumAt + 4 ? 0 : byte;
    sum = (table[(sum ^ counted) & 0xff] ?? 0) ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}
