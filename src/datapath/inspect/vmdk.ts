// VMware's sparse VMDK in one file: monolithicSparse, and streamOptimized with compressed grains, as in an OVA.
import { cutInside, needBlock, partOfDisk, type Inspector } from "./inspector.ts";
import { withTables, type TableReader } from "./table-reader.ts";
import { entriesOfTable, readVmdkFooter, readVmdkHead, sectorBytes, type VmdkHeader } from "./vmdk-header.ts";
import { walkTwoLevels } from "./walk.ts";

const headBytes = 64 * 1024;
/** Before a compressed grain: its sector, 8 bytes, and how long it is, 4 bytes. */
const markBytes = 12;
const footerBytes = 3 * sectorBytes;

export const vmdk: Inspector = {
  driver: "vmdk",
  readHead: (head) => ({ virtualSizeBytes: readVmdkHead(head).virtualSizeBytes }),
  walk: (path, signal) => withTables(path, (reader) => walkVmdk(reader, signal)),
};

async function walkVmdk(reader: TableReader, signal: AbortSignal) {
  const header = await readHeader(reader);
  const { virtualSizeBytes, grainBytes, isCompressed, hasZeroGrains, directoryOffset = 0, directoryEntries } = header;
  const { fileBytes } = reader;
  if (header.overheadBytes > fileBytes) throw cutInside(fileBytes, "VMDK tables");
  const { spareDirectoryOffset } = header;
  if (spareDirectoryOffset !== undefined && spareDirectoryOffset + directoryEntries * 4 > fileBytes)
    throw cutInside(fileBytes, "spare VMDK grain directory");
  const coveredBytes = entriesOfTable * grainBytes;
  // qemu takes no compressed grain longer than twice its size: only those near the end can be cut off.
  const tailOffset = fileBytes - markBytes - 2 * grainBytes;
  /** Where compressed grains near the end begin, and for which guest offset. */
  const tail = new Map<number, number>();
  let dataBytes = 0;
  await walkTwoLevels(
    reader,
    {
      upper: { offset: directoryOffset, entries: directoryEntries, entryBytes: 4, name: "VMDK grain directory" },
      lowerOffset: (table, at) => table.readUInt32LE(at) * sectorBytes,
      // qemu reads a table as a whole, whatever the disk's size.
      lowerEntries: () => entriesOfTable,
      lowerEntryBytes: 4,
      lowerName: "VMDK grain table",
    },
    signal,
    (table, at, tableIndex, index) => {
      const sector = table.readUInt32LE(at);
      const guestOffset = tableIndex * coveredBytes + index * grainBytes;
      const wanted = partOfDisk(guestOffset, grainBytes, virtualSizeBytes);
      if (sector === 0 || (sector === 1 && hasZeroGrains) || wanted === 0) return;
      const offset = sector * sectorBytes;
      needBlock(guestOffset, offset, isCompressed ? markBytes : wanted, fileBytes);
      if (isCompressed && offset > tailOffset) tail.set(offset, guestOffset);
      dataBytes += wanted;
    },
  );
  for (const [offset, guestOffset] of tail) {
    const mark = await reader.read(offset, markBytes, "VMDK grain");
    needBlock(guestOffset, offset, markBytes + mark.readUInt32LE(8), fileBytes);
  }
  return { virtualSizeBytes, dataBytes };
}

async function readHeader(reader: TableReader): Promise<VmdkHeader> {
  const { fileBytes } = reader;
  const head = readVmdkHead(await reader.read(0, Math.min(headBytes, fileBytes), "header"));
  if (head.directoryOffset !== undefined) return head;
  // As qemu counts them: a broken last sector is one.
  const footerOffset = Math.ceil(fileBytes / sectorBytes) * sectorBytes - footerBytes;
  return readVmdkFooter(await reader.read(footerOffset, footerBytes, "VMDK footer"), head);
}
