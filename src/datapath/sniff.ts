// What the head of the bytes says they are: magic over name (interfaces/importer.md section 7.1).

export type Compression = "gz" | "xz" | "zst";
/** Disk formats with a magic of their own. Raw has none; ISO and tar are told apart only to be named, both land as raw. */
export type DiskFormat = "qcow2" | "vmdk" | "vhd" | "vhdx" | "vdi" | "qed";
export type RawFormat = "raw" | "iso" | "tar";

interface Magic<N extends string> {
  readonly name: N;
  readonly offset: number;
  readonly bytes: Buffer;
}
const magic = <N extends string>(name: N, bytes: string | number[], offset = 0): Magic<N> => ({
  name,
  offset,
  bytes: typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes),
});

const compressions: readonly Magic<Compression>[] = [
  magic("gz", [0x1f, 0x8b]),
  magic("xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
  magic("zst", [0x28, 0xb5, 0x2f, 0xfd]),
];
const disks: readonly Magic<DiskFormat>[] = [
  magic("qcow2", [0x51, 0x46, 0x49, 0xfb]),
  magic("vmdk", "KDMV"),
  magic("vhd", "conectix"),
  magic("vhdx", "vhdxfile"),
  magic("vdi", [0x7f, 0x10, 0xda, 0xbe], 0x40),
  magic("qed", "QED\0"),
];
const raws: readonly Magic<RawFormat>[] = [magic("iso", "CD001", 0x8001), magic("tar", "ustar", 0x101)];

const find = <N extends string>(head: Uint8Array, rows: readonly Magic<N>[]): N | undefined =>
  rows.find(({ offset, bytes }) => bytes.equals(head.subarray(offset, offset + bytes.length)))?.name;

/** Enough to see every magic above, bytes; ISO's lies furthest in. */
export const sniffBytes = 64 * 1024;

export const sniffCompression = (head: Uint8Array): Compression | undefined =>
  find(head, compressions) ?? (beginsWithSkippedFrames(head) ? "zst" : undefined);

/** pzstd begins with frames without data, whose magic lz4 shares: only a zst frame behind them decides. */
function beginsWithSkippedFrames(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = 0, frames = 0; at + 8 <= head.length && frames < 16; frames += 1) {
    const word = view.getUint32(at, true);
    if (word === 0xfd2fb528) return frames > 0;
    if ((word & 0xffff_fff0) >>> 0 !== 0x184d2a50) return false;
    at += 8 + view.getUint32(at + 4, true);
  }
  return false;
}
export const sniffDisk = (head: Uint8Array): DiskFormat | undefined => find(head, disks);
/** @param head the first bytes of the source @returns whether its bytes land one by one as they are sent */
export const landsAsSent = (head: Uint8Array): boolean => !sniffCompression(head) && !sniffDisk(head);
/** "raw" when nothing else is seen: raw disks bear no mark. */
export const sniffRaw = (head: Uint8Array): RawFormat => find(head, raws) ?? "raw";
