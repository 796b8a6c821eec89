// The first MiB of a VHDX: which of two headers counts, whether its log must be replayed, and where the regions lie.
import { crc32c } from "./crc32c.ts";
import { corrupt, cutInside, refused } from "./inspector.ts";
import type { TableReader } from "./table-reader.ts";

const headerOffsets = [64 * 1024, 128 * 1024] as const;
const headerBytes = 4096;
/** The second copy, at 256 KiB, is not read: neither does qemu. */
const regionTableOffset = 192 * 1024;
const regionTableBytes = 64 * 1024;
const mostRegions = 2047;
const mebibyte = 1024 * 1024;
const regionNames: Readonly<Record<string, "bat" | "metadata">> = {
  "2dc27766-f623-4200-9d64-115e9bfd4a08": "bat",
  "8b7ca206-4790-4b9a-b8fe-575f050f886e": "metadata",
};

export interface Region {
  offset: number;
  lengthBytes: number;
}

/** @throws Fault ImageTruncated, ImageCorrupt, ImageRefused when the log must be replayed */
export async function readVhdxFrame(reader: TableReader): Promise<{ bat: Region; metadata: Region }> {
  if (reader.fileBytes < mebibyte) throw cutInside(reader.fileBytes, "VHDX headers, which take a MiB");
  const headers: { sequence: bigint; hasLog: boolean }[] = [];
  for (const offset of headerOffsets) {
    const header = await reader.read(offset, headerBytes, "VHDX header");
    const isSound = header.toString("latin1", 0, 4) === "head" && crc32c(header, 4) === header.readUInt32LE(4);
    if (!isSound) continue;
    if (header.readUInt16LE(66) !== 1) throw refused(`is a VHDX of unknown version ${header.readUInt16LE(66)}`);
    const hasLog = !header.subarray(48, 64).equals(Buffer.alloc(16));
    headers.push({ sequence: header.readBigUInt64LE(8), hasLog });
  }
  // Of two equal ones, as disk2vhd writes them, either.
  const [current] = headers.sort((one, other) => (one.sequence < other.sequence ? 1 : -1));
  if (!current) throw corrupt("neither of its two VHDX headers is sound");
  if (current.hasLog) {
    const remedy = "close it properly where it was made, or run qemu-img check -r all on it";
    throw refused(`is a VHDX with writes in its log that are not in its blocks yet: ${remedy}`);
  }
  return readRegions(await reader.read(regionTableOffset, regionTableBytes, "VHDX region table"), reader.fileBytes);
}

function readRegions(table: Buffer, fileBytes: number): { bat: Region; metadata: Region } {
  if (table.toString("latin1", 0, 4) !== "regi") throw corrupt("no VHDX region table where it should be");
  if (crc32c(table, 4) !== table.readUInt32LE(4)) throw corrupt("the checksum of its VHDX region table");
  const count = table.readUInt32LE(8);
  if (count > mostRegions) throw corrupt(`a VHDX region table of ${count} entries`);
  const found: { bat?: Region; metadata?: Region } = {};
  for (let at = 16; at < 16 + count * 32; at += 32) {
    const guid = guidAt(table, at);
    const name = regionNames[guid];
    const isRequired = (table.readUInt32LE(at + 28) & 1) !== 0;
    if (!name && isRequired) throw refused(`needs an unknown VHDX region (${guid})`);
    if (!name) continue;
    if (found[name]) throw corrupt(`two ${name} regions`);
    const [offset, lengthBytes] = [Number(table.readBigUInt64LE(at + 16)), table.readUInt32LE(at + 24)];
    const isAligned = offset % mebibyte === 0 && lengthBytes % mebibyte === 0;
    if (!isAligned || offset < mebibyte || lengthBytes === 0)
      throw corrupt(`a ${name} region at ${offset} of ${lengthBytes} bytes`);
    if (offset >= fileBytes) throw cutInside(fileBytes, `${name} region (${offset} to ${offset + lengthBytes})`);
    found[name] = { offset, lengthBytes };
  }
  const { bat, metadata } = found;
  if (!bat || !metadata) throw corrupt("a VHDX without block allocation table or metadata");
  if (bat.offset < metadata.offset + metadata.lengthBytes && metadata.offset < bat.offset + bat.lengthBytes)
    throw corrupt("VHDX regions that overlap");
  return { bat, metadata };
}

/** As Microsoft writes them: three numbers little-endian, then eight bytes in order. */
export function guidAt(bytes: Buffer, at: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  const words = [
    hex(bytes.readUInt32LE(at), 8),
    hex(bytes.readUInt16LE(at + 4), 4),
    hex(bytes.readUInt16LE(at + 6), 4),
  ];
  return [...words, bytes.toString("hex", at + 8, at + 10), bytes.toString("hex", at + 10, at + 16)].join("-");
}
