// QED, qemu's format before qcow2 version 3: two levels of tables, no snapshots. Source: qemu's docs/interop/qed_spec.txt.
import {
  corrupt,
  cutInside,
  isPowerOfTwo,
  needBlock,
  partOfDisk,
  refused,
  refusedParent,
  type Inspector,
} from "./inspector.ts";
import { withTables } from "./table-reader.ts";
import { walkTwoLevels } from "./walk.ts";

const headerBytes = 64;
const features = { backing: 1n, needCheck: 2n, backingIsRaw: 4n };
const smallestClusterBytes = 4096;
const largestClusterBytes = 64 * 1024 * 1024;
/** qemu keeps fifty tables in memory: of the largest it allows, 1 GiB each, they would fill any pod. */
const largestTableBytes = 4 * 1024 * 1024;

interface QedHeader {
  virtualSizeBytes: number;
  clusterBytes: number;
  tableBytes: number;
  l1Offset: number;
  /** Nothing may lie before it. */
  headerEnd: number;
  needsCheck: boolean;
}

export const qed: Inspector = {
  driver: "qed",
  readHead(head) {
    const { virtualSizeBytes, needsCheck } = readQedHeader(head);
    const notice = "The QED image was not closed properly; its tables are checked before it is used";
    return { virtualSizeBytes, ...(needsCheck ? { notices: [notice] } : {}) };
  },
  walk: (path, signal) =>
    withTables(path, async (reader) => {
      const { fileBytes } = reader;
      const header = readQedHeader(await reader.read(0, Math.min(headerBytes, fileBytes), "header"));
      const { virtualSizeBytes, clusterBytes, tableBytes, l1Offset } = header;
      const tableEntries = tableBytes / 8;
      const coveredBytes = tableEntries * clusterBytes;
      // qemu reads the whole of both tables, whatever the disk's size.
      needTable(l1Offset, "L1 table");
      function needTable(offset: number, name: string): void {
        checkOffset(header, offset, name);
        if (offset + tableBytes > fileBytes)
          throw cutInside(fileBytes, `${name} (${offset} to ${offset + tableBytes})`);
      }
      let dataBytes = 0;
      await walkTwoLevels(
        reader,
        {
          upper: {
            offset: l1Offset,
            entries: Math.ceil(virtualSizeBytes / coveredBytes),
            entryBytes: 8,
            name: "L1 table",
          },
          lowerOffset(table, at, index) {
            const offset = Number(table.readBigUInt64LE(at));
            if (offset !== 0) needTable(offset, `L2 table ${index}`);
            return offset;
          },
          lowerEntries: (index) =>
            Math.min(tableEntries, Math.ceil((virtualSizeBytes - index * coveredBytes) / clusterBytes)),
          lowerEntryBytes: 8,
          lowerName: "L2 table",
        },
        signal,
        (table, at, l1Index, index) => {
          const offset = Number(table.readBigUInt64LE(at));
          // 1 is a cluster that reads as zeros.
          if (offset <= 1) return;
          const guestOffset = l1Index * coveredBytes + index * clusterBytes;
          checkOffset(header, offset, `cluster for guest offset ${guestOffset}`);
          // A whole cluster even at the disk's end: qemu takes no part of one.
          needBlock(guestOffset, offset, clusterBytes, fileBytes);
          dataBytes += partOfDisk(guestOffset, clusterBytes, virtualSizeBytes);
        },
      );
      return { virtualSizeBytes, dataBytes };
    }),
};

function checkOffset({ clusterBytes, headerEnd }: QedHeader, offset: number, name: string): void {
  if (offset % clusterBytes !== 0 || offset < headerEnd) throw corrupt(`its ${name} lies at ${offset}`);
}

/** @throws Fault ImageTruncated, ImageRefused, ImageCorrupt */
function readQedHeader(head: Buffer): QedHeader {
  if (head.length < headerBytes) throw cutInside(head.length, "QED header");
  const bits = head.readBigUInt64LE(16);
  if ((bits & features.backing) !== 0n) throw refusedParent("it is a QED with a backing file");
  const unknown = bits & ~(features.needCheck | features.backingIsRaw);
  if (unknown !== 0n) throw refused(`uses unknown QED features (0x${unknown.toString(16)})`);
  const [clusterBytes, tableClusters, headerClusters] = [4, 8, 12].map((at) => head.readUInt32LE(at)) as [
    number,
    number,
    number,
  ];
  if (!isPowerOfTwo(clusterBytes) || clusterBytes < smallestClusterBytes || clusterBytes > largestClusterBytes)
    throw corrupt(`QED clusters of ${clusterBytes} bytes`);
  if (!isPowerOfTwo(tableClusters) || tableClusters > 16) throw corrupt(`QED tables of ${tableClusters} clusters`);
  const tableBytes = tableClusters * clusterBytes;
  if (tableBytes > largestTableBytes) {
    throw refused(`has QED tables of ${tableBytes} bytes each; up to ${largestTableBytes} are read`);
  }
  if (headerClusters === 0) throw corrupt("a QED header of no clusters");
  const size = head.readBigUInt64LE(48);
  const entries = BigInt(tableBytes / 8);
  if (size % 512n !== 0n || size > entries * entries * BigInt(clusterBytes) || size > BigInt(Number.MAX_SAFE_INTEGER))
    throw corrupt(`a QED of ${size} bytes`);
  return {
    virtualSizeBytes: Number(size),
    clusterBytes,
    tableBytes,
    l1Offset: Number(head.readBigUInt64LE(40)),
    headerEnd: headerClusters * clusterBytes,
    needsCheck: (bits & features.needCheck) !== 0n,
  };
}
