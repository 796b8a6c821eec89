// The qcow2 header, read by ourselves before any other tool sees a byte. Source: qemu's docs/interop/qcow2.txt.
import { Fault } from "../../lib/faults.ts";

export interface Qcow2Header {
  version: 2 | 3;
  clusterBits: number;
  clusterBytes: number;
  /** Cut down to whole sectors of 512, as qemu does. */
  virtualSizeBytes: number;
  l1Entries: number;
  l1Offset: number;
  /** 16-byte L2 entries with 32 subclusters each. */
  extendedL2: boolean;
  compression: "zlib" | "zstd";
  /** The image was not closed properly; its refcounts may be stale, its data is not. */
  dirty: boolean;
  /** qemu marked it as damaged. */
  corrupt: boolean;
  /** It may be left with stale refcounts on purpose: dirty is then no sign of a crash alone. */
  lazyRefcounts: boolean;
}

/** Bytes of the longest header we read. */
export const headerBytes = 112;
const smallestClusterBits = 9;
const largestClusterBits = 21;
/** A subcluster, a 32nd of a cluster, is a whole sector. */
const smallestExtendedBits = 14;
const version3Bytes = 104;
/** qemu's own limit on the active L1 table, bytes. */
const largestL1Bytes = 32 * 1024 * 1024;
const incompatible = { dirty: 1n, corrupt: 2n, dataFile: 4n, compression: 8n, extendedL2: 16n };
/** Of the compatible ones. */
const lazyRefcountsBit = 1n;
const understood = Object.values(incompatible).reduce((all, bit) => all | bit, 0n);

/**
 * @param head at least `headerBytes` of the image, or all of it
 * @throws Fault ImageRefused (backing or data file, encryption, unknown features), ImageCorrupt, FormatUnsupported (qcow1)
 */
export function readHeader(head: Buffer): Qcow2Header {
  const version = head.length < 8 ? 0 : head.readUInt32BE(4);
  if (head.length < (version === 3 ? 104 : 72)) {
    throw new Fault("ImageTruncated", `the image ends at byte ${head.length}, within its qcow2 header`);
  }
  if (version === 1) throw new Fault("FormatUnsupported", "the image is qcow version 1, which is not converted");
  if (version !== 2 && version !== 3) throw new Fault("ImageRefused", `unknown qcow2 version ${version}`);
  refuseForeignFiles(head);
  const features = version === 3 ? head.readBigUInt64BE(72) : 0n;
  refuseFeatures(features);
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < smallestClusterBits || clusterBits > largestClusterBits) {
    throw corrupt(`cluster size of 2^${clusterBits} bytes`);
  }
  const extendedL2 = (features & incompatible.extendedL2) !== 0n;
  if (extendedL2 && clusterBits < smallestExtendedBits)
    throw corrupt(`subclusters in clusters of 2^${clusterBits} bytes`);
  if (version === 3) checkVersion3(head, 2 ** clusterBits);
  const size = head.readBigUInt64BE(24);
  refuseLargeL1(size, head.readUInt32BE(36), clusterBits, extendedL2);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(`virtual size of ${size} bytes`);
  const header: Qcow2Header = {
    version,
    clusterBits,
    clusterBytes: 2 ** clusterBits,
    virtualSizeBytes: Math.floor(Number(size) / 512) * 512,
    l1Entries: head.readUInt32BE(36),
    l1Offset: Number(head.readBigUInt64BE(40)),
    extendedL2,
    compression: compressionOf(head, features),
    dirty: (features & incompatible.dirty) !== 0n,
    corrupt: (features & incompatible.corrupt) !== 0n,
    lazyRefcounts: version === 3 && (head.readBigUInt64BE(80) & lazyRefcountsBit) !== 0n,
  };
  checkL1(header);
  return header;
}

/** What qemu marked the image with, for the log: odd, and no reason to refuse. */
export function noticesOf({ corrupt, dirty, lazyRefcounts }: Qcow2Header): string[] {
  const notices: string[] = [];
  if (corrupt) notices.push("The image is marked as corrupt by qemu; its tables are checked before they are used");
  const lazily = lazyRefcounts ? " (it keeps them lazily)" : "";
  if (dirty) {
    const state = `it was not closed properly, and its refcounts may be stale${lazily}; they are not used`;
    notices.push(`The image is marked as dirty: ${state}`);
  } else if (lazyRefcounts) notices.push("The image keeps its refcounts lazily; they are not used");
  return notices;
}

/** Bytes of one L2 entry. */
export const l2EntryBytes = ({ extendedL2 }: Pick<Qcow2Header, "extendedL2">): number => (extendedL2 ? 16 : 8);
/** L1 entries that the virtual size needs. */
export const neededL1Entries = (header: Qcow2Header): number =>
  Math.ceil(header.virtualSizeBytes / (header.clusterBytes * (header.clusterBytes / l2EntryBytes(header))));

function refuseForeignFiles(head: Buffer): void {
  const backingOffset = head.readBigUInt64BE(8);
  if (backingOffset !== 0n) {
    throw new Fault(
      "ImageRefused",
      "the image is invalid because it has invalid backing file: images that refer to other files are refused",
    );
  }
  const cryptMethod = head.readUInt32BE(32);
  if (cryptMethod !== 0)
    throw new Fault(
      "ImageRefused",
      `the image is encrypted (method ${cryptMethod}): it cannot be converted without its key`,
    );
}

function refuseFeatures(features: bigint): void {
  if ((features & incompatible.dataFile) !== 0n) {
    throw new Fault(
      "ImageRefused",
      "the image keeps its data in another file: images that refer to other files are refused",
    );
  }
  const unknown = features & ~understood;
  if (unknown !== 0n)
    throw new Fault("ImageRefused", `the image uses unknown incompatible features (0x${unknown.toString(16)})`);
}

function compressionOf(head: Buffer, features: bigint): "zlib" | "zstd" {
  const type = head.readUInt32BE(4) === 3 && head.readUInt32BE(100) > version3Bytes ? head.readUInt8(version3Bytes) : 0;
  const isMarked = (features & incompatible.compression) !== 0n;
  if (type === 0 && !isMarked) return "zlib";
  if (type === 1 && isMarked) return "zstd";
  throw corrupt(`compression type ${type}${isMarked ? "" : " without its feature bit"}`);
}

/** Both what the table has and what the disk's size would need, before any number loses digits. */
function refuseLargeL1(size: bigint, l1Entries: number, clusterBits: number, extendedL2: boolean): void {
  const coveredBits = BigInt(2 * clusterBits - (extendedL2 ? 4 : 3));
  const needed = (size + (1n << coveredBits) - 1n) >> coveredBits;
  const entries = needed > BigInt(l1Entries) ? needed : BigInt(l1Entries);
  if (entries * 8n > BigInt(largestL1Bytes)) throw corrupt(`L1 size too big: ${entries} entries`);
}

function checkVersion3(head: Buffer, clusterBytes: number): void {
  const length = head.readUInt32BE(100);
  if (length < version3Bytes || length > clusterBytes) throw corrupt(`header length of ${length} bytes`);
  const refcountOrder = head.readUInt32BE(96);
  if (refcountOrder > 6) throw corrupt(`refcounts of 2^${refcountOrder} bits`);
}

function checkL1(header: Qcow2Header): void {
  const { l1Entries, l1Offset, clusterBytes } = header;
  if (l1Entries < neededL1Entries(header))
    throw corrupt(`an L1 table of ${l1Entries} entries is too small for the virtual size`);
  if (l1Entries > 0 && (l1Offset % clusterBytes !== 0 || l1Offset === 0))
    throw corrupt(`an L1 table at offset ${l1Offset}`);
}

const corrupt = (what: string): Fault => new Fault("ImageCorrupt", `the qcow2 header is damaged: ${what}`);
