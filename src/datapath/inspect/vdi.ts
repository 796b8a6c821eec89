// VirtualBox's VDI, dynamic and static: one block map, blocks of 1 MiB. Source: the header's fields as VirtualBox and qemu write them.
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
import { withTables } from "./table-reader.ts";
import { walkFlat } from "./walk.ts";

const headerBytes = 512;
const blockBytes = 1024 * 1024;
/** Blocks from here on are never written or discarded: they read as zeros. */
const firstUnusedBlock = 0xffff_fffe;
const kinds: Readonly<Record<number, string>> = { 3: "an undo", 4: "a differencing" };

interface VdiHeader {
  virtualSizeBytes: number;
  mapOffset: number;
  dataOffset: number;
  blocks: number;
}

export const vdi: Inspector = {
  driver: "vdi",
  readHead: (head) => ({ virtualSizeBytes: readVdiHeader(head).virtualSizeBytes }),
  walk: (path, signal) =>
    withTables(path, async (reader) => {
      const { fileBytes } = reader;
      const header = readVdiHeader(await reader.read(0, Math.min(headerBytes, fileBytes), "header"));
      const { virtualSizeBytes, mapOffset, dataOffset, blocks } = header;
      let dataBytes = 0;
      const map = { offset: mapOffset, entries: blocks, entryBytes: 4, name: "block map" } as const;
      await walkFlat(reader, map, signal, (table, at, index) => {
        const block = table.readUInt32LE(at);
        const wanted = partOfDisk(index * blockBytes, blockBytes, virtualSizeBytes);
        if (block >= firstUnusedBlock || wanted === 0) return;
        if (block >= blocks) throw corrupt(`entry ${index} of its block map names block ${block} of ${blocks}`);
        needBlock(index * blockBytes, dataOffset + block * blockBytes, wanted, fileBytes);
        dataBytes += wanted;
      });
      return { virtualSizeBytes, dataBytes };
    }),
};

/** @throws Fault ImageTruncated, ImageRefused, ImageCorrupt */
function readVdiHeader(head: Buffer): VdiHeader {
  if (head.length < headerBytes) throw cutInside(head.length, "VDI header");
  const version = head.readUInt32LE(0x44);
  if (version !== 0x0001_0001)
    throw refused(`is a VDI of unknown version ${version >>> 16}.${version & 0xffff}, not of 1.1`);
  const kind = head.readUInt32LE(0x4c);
  if (kind in kinds) throw refusedParent(`it is ${kinds[kind]} VDI`);
  if (kind !== 1 && kind !== 2) throw refused(`is a VDI of unknown kind ${kind}`);
  // The link and the parent: both say which disk this one differs from.
  if (!head.subarray(0x1a8, 0x1c8).equals(Buffer.alloc(32))) throw refusedParent("its VDI header names a parent");
  if (head.readUInt32LE(0x168) !== 512) throw refused(`is a VDI with sectors of ${head.readUInt32LE(0x168)} bytes`);
  const [blockSize, blockExtra] = [head.readUInt32LE(0x178), head.readUInt32LE(0x17c)];
  if (blockSize !== blockBytes || blockExtra !== 0) {
    throw refused(`is a VDI with blocks of ${blockSize} and ${blockExtra} bytes; only 1 MiB is read`);
  }
  const [mapOffset, dataOffset] = [head.readUInt32LE(0x154), head.readUInt32LE(0x158)];
  if (mapOffset < headerBytes || mapOffset % 512 !== 0) throw corrupt(`a VDI block map at ${mapOffset}`);
  if (dataOffset < headerBytes || dataOffset % 512 !== 0) throw corrupt(`VDI blocks at ${dataOffset}`);
  const blocks = head.readUInt32LE(0x180);
  if (blocks * 4 > mostTableBytes) throw corrupt(`a VDI block map of ${blocks} entries`);
  const size = head.readBigUInt64LE(0x170);
  if (size > BigInt(blocks) * BigInt(blockBytes)) throw corrupt(`a VDI of ${size} bytes in ${blocks} blocks`);
  // Odd sizes come from VBoxManage convertfromraw; qemu rounds them up.
  return { virtualSizeBytes: Math.ceil(Number(size) / 512) * 512, mapOffset, dataOffset, blocks };
}
