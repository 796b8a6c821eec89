// Hyper-V's VHDX, dynamic and fixed: headers, region table, metadata and block allocation table. Source: Microsoft's [MS-VHDX].
import {
  corrupt,
  cutInside,
  mostTableBytes,
  needBlock,
  partOfDisk,
  refused,
  refusedParent,
  type Inspector,
} from "./inspector.ts";
import { withTables, type TableReader } from "./table-reader.ts";
import { readVhdxFrame } from "./vhdx-frame.ts";
import { readVhdxMetadata } from "./vhdx-metadata.ts";
import { walkFlat } from "./walk.ts";

const signature = Buffer.from("vhdxfile", "latin1");
const state = { undefined: 1, zero: 2, unmapped: 3, unmappedOfDrafts: 5, present: 6, partlyPresent: 7 };
/** Nothing of the disk lies within the first MiB, where headers and region tables are. */
const firstDataOffset = 1024 * 1024;
const readAsZeros = new Set([0, state.undefined, state.zero, state.unmapped, state.unmappedOfDrafts]);

export const vhdx: Inspector = {
  driver: "vhdx",
  /** The size stands in the metadata, which lie wherever the region table says. */
  readHead(head) {
    if (head.length < 512) throw cutInside(head.length, "VHDX file identifier");
    if (!head.subarray(0, 8).equals(signature)) throw corrupt("no VHDX file identifier");
    return {};
  },
  walk: (path, signal) => withTables(path, (reader) => walkVhdx(reader, signal)),
};

async function walkVhdx(reader: TableReader, signal: AbortSignal) {
  const { fileBytes } = reader;
  const { bat, metadata } = await readVhdxFrame(reader);
  const { virtualSizeBytes, blockBytes, logicalSectorBytes } = await readVhdxMetadata(reader, metadata);
  const dataBlocks = Math.ceil(virtualSizeBytes / blockBytes);
  // One bitmap's entry stands behind so many data blocks' entries.
  const chunkRatio = (2 ** 23 * logicalSectorBytes) / blockBytes;
  const entries = dataBlocks + Math.floor(Math.max(0, dataBlocks - 1) / chunkRatio);
  if (bat.lengthBytes > mostTableBytes)
    throw refused(`has a VHDX block allocation table of ${bat.lengthBytes} bytes; up to ${mostTableBytes} are read`);
  if (entries * 8 > bat.lengthBytes)
    throw corrupt(`a VHDX block allocation table of ${bat.lengthBytes} bytes for ${entries} entries`);
  // qemu reads all of it, whatever the disk's size.
  if (bat.offset + bat.lengthBytes > fileBytes) throw cutInside(fileBytes, "block allocation table");
  let dataBytes = 0;
  const table = { offset: bat.offset, entries, entryBytes: 8, name: "block allocation table" } as const;
  await walkFlat(reader, table, signal, (piece, at, index) => {
    if (index % (chunkRatio + 1) === chunkRatio) return;
    const guestOffset = (index - Math.floor(index / (chunkRatio + 1))) * blockBytes;
    const blockState = piece.readUInt8(at) & 7;
    if (readAsZeros.has(blockState)) return;
    if (blockState === state.partlyPresent) throw refusedParent("it is a VHDX with blocks of a parent");
    if (blockState !== state.present) throw corrupt(`the block for guest offset ${guestOffset} in state ${blockState}`);
    const offset = Number(piece.readBigUInt64LE(at) >> 20n) * 2 ** 20;
    if (offset < firstDataOffset) throw corrupt(`the block for guest offset ${guestOffset} at ${offset}`);
    const wanted = partOfDisk(guestOffset, blockBytes, virtualSizeBytes);
    needBlock(guestOffset, offset, wanted, fileBytes);
    dataBytes += wanted;
  });
  return { virtualSizeBytes, dataBytes };
}
