// The metadata region of a VHDX: the disk's size, its blocks' size, and whether it needs a parent.
import { corrupt, isPowerOfTwo, refused, refusedParent } from "./inspector.ts";
import type { TableReader } from "./table-reader.ts";
import { guidAt, type Region } from "./vhdx-frame.ts";

const tableBytes = 64 * 1024;
const mostItems = 2047;
const mebibyte = 1024 * 1024;
const largestDiskBytes = 64n * 2n ** 40n;
const hasParentFlag = 2;
const items = {
  "caa16737-fa36-4d43-b3b6-33f0aa44e76b": { name: "parameters", bytes: 8 },
  "2fa54224-cd1b-4876-b211-5dbed83bf4b8": { name: "virtualSize", bytes: 8 },
  "8141bf1d-a96f-4709-ba47-f233a8faab5f": { name: "logicalSector", bytes: 4 },
  "cda348c7-445d-4471-9cc9-e9885251c556": { name: "physicalSector", bytes: 4 },
  "beca12ab-b2e6-4523-93ef-c309e000c746": { name: "page83", bytes: 16 },
  "a8d35f2d-b30b-454d-abf7-d3d84834ab0c": { name: "parentLocator", bytes: 0 },
} as const satisfies Record<string, { name: string; bytes: number }>;
type Item = (typeof items)[keyof typeof items];

export interface VhdxMetadata {
  virtualSizeBytes: number;
  blockBytes: number;
  logicalSectorBytes: number;
}

/** @throws Fault ImageTruncated, ImageCorrupt, ImageRefused */
export async function readVhdxMetadata(reader: TableReader, region: Region): Promise<VhdxMetadata> {
  if (region.lengthBytes < tableBytes) throw corrupt(`a VHDX metadata region of ${region.lengthBytes} bytes`);
  const table = Buffer.from(await reader.read(region.offset, tableBytes, "VHDX metadata table"));
  if (table.toString("latin1", 0, 8) !== "metadata") throw corrupt("no VHDX metadata where they should be");
  const count = table.readUInt16LE(10);
  if (count > mostItems) throw corrupt(`a VHDX metadata table of ${count} entries`);
  const found = new Map<Item["name"], Buffer>();
  for (let at = 32; at < 32 + count * 32; at += 32) {
    const guid = guidAt(table, at);
    const [offset, lengthBytes, flags] = [16, 20, 24].map((more) => table.readUInt32LE(at + more)) as [
      number,
      number,
      number,
    ];
    const item = (items as Readonly<Record<string, Item>>)[guid];
    if (!item && (flags & 4) !== 0) throw refused(`needs unknown VHDX metadata (${guid})`);
    if (!item) continue;
    if (item.name === "parentLocator") throw refusedParent("it is a VHDX with a parent locator");
    const isWithin = offset >= tableBytes && offset + lengthBytes <= region.lengthBytes;
    if (found.has(item.name) || !isWithin || lengthBytes < item.bytes)
      throw corrupt(`VHDX metadata "${item.name}" at ${offset} of ${lengthBytes} bytes`);
    found.set(item.name, Buffer.from(await reader.read(region.offset + offset, item.bytes, "VHDX metadata")));
  }
  return meaningOf(found);
}

function meaningOf(found: ReadonlyMap<Item["name"], Buffer>): VhdxMetadata {
  const value = (name: Item["name"]): Buffer => {
    const bytes = found.get(name);
    if (!bytes) throw corrupt(`a VHDX without its ${name}`);
    return bytes;
  };
  const parameters = value("parameters");
  if ((parameters.readUInt32LE(4) & hasParentFlag) !== 0) throw refusedParent("it is a differencing VHDX");
  const blockBytes = parameters.readUInt32LE(0);
  if (!isPowerOfTwo(blockBytes) || blockBytes < mebibyte || blockBytes > 256 * mebibyte)
    throw corrupt(`VHDX blocks of ${blockBytes} bytes`);
  const logicalSectorBytes = value("logicalSector").readUInt32LE();
  if (logicalSectorBytes !== 512)
    throw refused(`is a VHDX with sectors of ${logicalSectorBytes} bytes; only 512 are read`);
  const size = value("virtualSize").readBigUInt64LE();
  if (size > largestDiskBytes || size % 512n !== 0n) throw corrupt(`a VHDX of ${size} bytes`);
  return { virtualSizeBytes: Number(size), blockBytes, logicalSectorBytes };
}
