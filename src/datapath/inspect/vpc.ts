// Dynamic VHD of Virtual PC, Hyper-V, XenServer and Azure. Source: Microsoft's VHD specification 1.0. A fixed VHD has no header:
// it travels as raw.
import {
  corrupt,
  cutInside,
  isPowerOfTwo,
  mostTableBytes,
  needBlock,
  partOfDisk,
  refused,
  refusedParent,
  type Inspector,
} from "./inspector.ts";
import { withTables } from "./table-reader.ts";
import { walkFlat } from "./walk.ts";

const footerBytes = 512;
const dynamicHeaderBytes = 1024;
const kinds = { fixed: 2, dynamic: 3, differencing: 4 };
/** 65535 cylinders, 16 heads, 255 sectors: what is larger has this geometry all the same. */
const largestGeometry = 65535 * 16 * 255;
/** 2040 GiB, the most a VHD can hold. */
const mostSectors = 0xff00_0000;
const unused = 0xffff_ffff;
const smallestBlockBytes = 4096;
const largestBlockBytes = 256 * 1024 * 1024;
/** Who writes these means the size in the footer; others, Virtual PC first, mean the geometry. qemu's own table. */
const meanCurrentSize = ["win ", "qem2", "d2v ", "tap\0", "CTXS", "wa\0\0"];

interface VhdFooter {
  virtualSizeBytes: number;
  /** qemu's word for where the size comes from. */
  sizeFrom: "chs" | "current_size";
  dynamicHeaderOffset: number;
  notice?: string;
}

export const vpc: Inspector = {
  driver: "vpc",
  readHead(head) {
    const { virtualSizeBytes, notice } = readFooter(head);
    return { virtualSizeBytes, ...(notice ? { notices: [notice] } : {}) };
  },
  walk: (path, signal) =>
    withTables(path, async (reader) => {
      const { fileBytes } = reader;
      const footer = readFooter(await reader.read(0, Math.min(footerBytes, fileBytes), "header"));
      const { virtualSizeBytes, sizeFrom, dynamicHeaderOffset } = footer;
      const header = Buffer.from(await reader.read(dynamicHeaderOffset, dynamicHeaderBytes, "dynamic header"));
      const { tableOffset, entries, blockBytes } = readDynamicHeader(header, virtualSizeBytes);
      const bitmapBytes = Math.ceil(blockBytes / 4096 / 512) * 512;
      let dataBytes = 0;
      const table = { offset: tableOffset, entries, entryBytes: 4, name: "block allocation table" } as const;
      await walkFlat(reader, table, signal, (piece, at, index) => {
        const sector = piece.readUInt32BE(at);
        if (sector === unused) return;
        // A whole block even at the disk's end, as qemu wants it too.
        needBlock(index * blockBytes, sector * 512, bitmapBytes + blockBytes, fileBytes);
        dataBytes += partOfDisk(index * blockBytes, blockBytes, virtualSizeBytes);
      });
      // Told in so many words, because older qemus do not know every creator.
      return { virtualSizeBytes, dataBytes, driverOptions: { force_size_calc: sizeFrom } };
    }),
};

/** The copy of the footer that a dynamic VHD begins with. @throws Fault ImageTruncated, ImageRefused, ImageCorrupt */
function readFooter(head: Buffer): VhdFooter {
  if (head.length < footerBytes) throw cutInside(head.length, "VHD header");
  const footer = head.subarray(0, footerBytes);
  if (checksumOf(footer, 64) !== footer.readUInt32BE(64)) throw corrupt("the checksum of its VHD header");
  if (footer.readUInt16BE(12) !== 1) throw refused(`is a VHD of unknown version ${footer.readUInt16BE(12)}`);
  const kind = footer.readUInt32BE(60);
  if (kind === kinds.differencing) throw refusedParent("it is a differencing VHD");
  if (kind !== kinds.dynamic) throw refused(`is a VHD with a header, but of kind ${kind} instead of a dynamic one`);
  const currentBytes = footer.readBigUInt64BE(48);
  if (currentBytes > BigInt(mostSectors) * 512n) throw corrupt(`a VHD of ${currentBytes} bytes`);
  const geometry = footer.readUInt16BE(56) * footer.readUInt8(58) * footer.readUInt8(59);
  const creator = footer.toString("latin1", 28, 32);
  const isGeometry = !meanCurrentSize.includes(creator) && geometry !== largestGeometry;
  const currentSectors = Math.floor(Number(currentBytes) / 512);
  const sectors = isGeometry ? geometry : currentSectors;
  if (sectors > mostSectors) throw corrupt(`a VHD of ${sectors} sectors`);
  const dynamicHeaderOffset = Number(footer.readBigUInt64BE(16));
  return {
    virtualSizeBytes: sectors * 512,
    sizeFrom: isGeometry ? "chs" : "current_size",
    dynamicHeaderOffset,
    ...(sectors < currentSectors
      ? {
          notice: `The VHD's geometry ends ${(currentSectors - sectors) * 512} bytes before its size; the geometry counts`,
        }
      : {}),
  };
}

function readDynamicHeader(header: Buffer, virtualSizeBytes: number) {
  if (header.toString("latin1", 0, 8) !== "cxsparse") throw corrupt("no dynamic VHD header where it should be");
  if (checksumOf(header, 36) !== header.readUInt32BE(36)) throw corrupt("the checksum of its dynamic VHD header");
  const [entries, blockBytes] = [header.readUInt32BE(28), header.readUInt32BE(32)];
  if (!isPowerOfTwo(blockBytes) || blockBytes < smallestBlockBytes || blockBytes > largestBlockBytes)
    throw corrupt(`VHD blocks of ${blockBytes} bytes`);
  if (entries * 4 > mostTableBytes) throw corrupt(`a VHD block allocation table of ${entries} entries`);
  if (entries * blockBytes < virtualSizeBytes)
    throw corrupt(`a VHD of ${virtualSizeBytes} bytes in ${entries} blocks of ${blockBytes}`);
  return { tableOffset: Number(header.readBigUInt64BE(16)), entries, blockBytes };
}

/** One's complement of the sum of all bytes but the checksum's own four. */
function checksumOf(bytes: Buffer, at: number): number {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) if (index < at || index >= at + 4) sum += byte;
  return ~sum >>> 0;
}
