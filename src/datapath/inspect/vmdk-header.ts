// The header of a sparse VMDK, and the footer that takes its place where the directory is written last. Source: VMware's
// "Virtual Disk Format 5.0".
import { Fault } from "../../lib/faults.ts";
import { corrupt, cutInside, isPowerOfTwo, mostTableBytes, refused } from "./inspector.ts";
import { checkDescriptor } from "./vmdk-descriptor.ts";

export const sectorBytes = 512;
/** Entries of a grain table; the format knows no other number. */
export const entriesOfTable = 512;
const magic = Buffer.from("KDMV", "latin1");
const flag = { newlineTest: 1, spareDirectory: 2, zeroGrains: 4, markers: 2 ** 17 };
const newlines = Buffer.from("\n \r\n", "latin1");
const directoryAtEnd = 2n ** 64n - 1n;
const [smallestGrain, largestGrain] = [8, 4096];
/** qemu reads so much of the descriptor, whatever the header says, and always from the second sector. */
const descriptorBytes = 20 * sectorBytes;
const largestDescriptorBytes = 63 * 1024;

export interface VmdkHeader {
  virtualSizeBytes: number;
  grainBytes: number;
  isCompressed: boolean;
  /** Entry 1 of a grain table means zeros. */
  hasZeroGrains: boolean;
  /** Of the grain directory; undefined when the footer tells. */
  directoryOffset: number | undefined;
  directoryEntries: number;
  spareDirectoryOffset: number | undefined;
  /** Where the first grain may begin. */
  overheadBytes: number;
}

/** @param head 64 KiB of the image, or all of it @throws Fault ImageTruncated, ImageRefused, ImageCorrupt */
export function readVmdkHead(head: Buffer): VmdkHeader {
  if (head.length < sectorBytes) throw cutInside(head.length, "VMDK header");
  const header = readSparseHeader(head);
  const [at, size] = [head.readBigUInt64LE(28), head.readBigUInt64LE(36)];
  if (at === 0n && size === 0n) throw refused("is a VMDK without its own descriptor, as part of a larger one");
  if (at !== 1n) throw refused(`is a VMDK with its descriptor at sector ${at} instead of 1`);
  if (size === 0n || size * BigInt(sectorBytes) > BigInt(largestDescriptorBytes))
    throw refused(`is a VMDK with a descriptor of ${size} sectors`);
  const end = sectorBytes + Math.max(Number(size) * sectorBytes, descriptorBytes);
  if (head.length < sectorBytes + Number(size) * sectorBytes) throw cutInside(head.length, "VMDK descriptor");
  checkDescriptor(head.subarray(sectorBytes, end));
  return header;
}

/** The three last sectors: a footer's mark, the footer, the mark of the stream's end. @throws Fault as readVmdkHead */
export function readVmdkFooter(sectors: Buffer, head: VmdkHeader): VmdkHeader {
  const [mark, footer, end] = [0, 1, 2].map((one) => sectors.subarray(one * sectorBytes, (one + 1) * sectorBytes)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const isMark = mark.readUInt32LE(8) === 0 && mark.readUInt32LE(12) === 3;
  const isEnd = end.subarray(0, 16).equals(Buffer.alloc(16));
  if (!isMark || !isEnd || !footer.subarray(0, 4).equals(magic)) {
    const what = "its footer is not where its last three sectors should be";
    throw new Fault("ImageTruncated", `the image is cut off, or has other bytes behind its end: ${what}`);
  }
  const header = readSparseHeader(footer);
  if (header.directoryOffset === undefined) throw corrupt("a VMDK footer without a grain directory");
  if (header.virtualSizeBytes !== head.virtualSizeBytes || header.grainBytes !== head.grainBytes)
    throw corrupt("a VMDK footer that says other than the header");
  return header;
}

function readSparseHeader(header: Buffer): VmdkHeader {
  const [version, flags] = [header.readUInt32LE(4), header.readUInt32LE(8)];
  if (version < 1 || version > 3) throw refused(`is a VMDK of unknown version ${version}`);
  if ((flags & flag.newlineTest) !== 0 && !header.subarray(73, 77).equals(newlines))
    throw corrupt("its line ends were changed on the way, as by a transfer as text");
  const [capacity, grain] = [header.readBigUInt64LE(12), header.readBigUInt64LE(20)];
  // With no capacity qemu takes the file for a mere descriptor, and opens the files named there.
  if (capacity === 0n) throw refused("is a VMDK of no sectors");
  if (grain > BigInt(largestGrain) || grain < BigInt(smallestGrain) || !isPowerOfTwo(Number(grain)))
    throw corrupt(`VMDK grains of ${grain} sectors`);
  if (header.readUInt32LE(44) !== entriesOfTable)
    throw corrupt(`VMDK grain tables of ${header.readUInt32LE(44)} entries`);
  const covered = grain * BigInt(entriesOfTable);
  const directoryEntries = (capacity + covered - 1n) / covered;
  if (directoryEntries * 4n > BigInt(mostTableBytes)) throw corrupt(`a VMDK of ${capacity} sectors`);
  const compression = header.readUInt16LE(77);
  if (compression > 1) throw refused(`is a VMDK with unknown compression ${compression}`);
  if (compression === 1 && (flags & flag.markers) === 0) throw refused("is a VMDK with compressed grains but no marks");
  const directory = header.readBigUInt64LE(56);
  if (directory === 0n) throw corrupt("a VMDK without a grain directory");
  return {
    virtualSizeBytes: Number(capacity) * sectorBytes,
    grainBytes: Number(grain) * sectorBytes,
    isCompressed: compression === 1,
    hasZeroGrains: (flags & flag.zeroGrains) !== 0,
    directoryOffset: directory === directoryAtEnd ? undefined : Number(directory) * sectorBytes,
    directoryEntries: Number(directoryEntries),
    spareDirectoryOffset:
      (flags & flag.spareDirectory) !== 0 ? Number(header.readBigUInt64LE(48)) * sectorBytes : undefined,
    overheadBytes: Number(header.readBigUInt64LE(64)) * sectorBytes,
  };
}
