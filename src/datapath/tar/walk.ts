// Walks a tar archive as it comes: one entry after the other, each with its body as a stream, sparse files with their real
// bytes. Own code because a sparse entry's map lies partly in the headers, where tar libraries hand on only what is stored.
import { chunkReader, type ChunkReader } from "../decoders/chunk-reader.ts";
import { isZero } from "../sinks/zero-blocks.ts";
import { readBody, type BodyPlan } from "./body.ts";
import { damaged, longestExtension, longestNameBytes, type TarEntry, type TarType } from "./entry.ts";
import { blockBytes, readTarHeader, type TarHeader } from "./header.ts";
import { readPax, wholeNumber, type PaxRecords } from "./pax.ts";
import { checkSparse, readOldSparse, readPaxSparse, type SparseMap } from "./sparse.ts";

/**
 * Ends at the first block of zeros, or where the input ends between two entries; what the input has behind that is left
 * unread. @throws Fault ArchiveInvalid for anything else, and the input's own errors
 */
export async function* walkTar(input: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const reader = counted(chunkReader(input));
  const globals = new Map<string, Buffer>();
  for (;;) {
    const found = await nextEntry(reader, globals);
    if (!found) return;
    yield found.entry;
    await found.passOver();
  }
}

interface CountedReader extends ChunkReader {
  readonly position: number;
}

function counted(reader: ChunkReader): CountedReader {
  let position = 0;
  const passed = <T extends Buffer | undefined>(bytes: T): T => {
    position += bytes?.length ?? 0;
    return bytes;
  };
  return {
    get position() {
      return position;
    },
    next: async () => passed(await reader.next()),
    take: async (count) => passed(await reader.take(count)),
    putBack(bytes) {
      position -= bytes.length;
      reader.putBack(bytes);
    },
  };
}

/** What headers before the entry's own say about it. */
interface Ahead {
  pax: PaxRecords;
  longName?: Buffer;
  longLink?: Buffer;
}

async function nextEntry(
  reader: CountedReader,
  globals: Map<string, Buffer>,
): Promise<{ entry: TarEntry; passOver: () => Promise<void> } | undefined> {
  const ahead: Ahead = { pax: { values: new Map(globals), sparsePairs: [] } };
  let extensionBytes = 0;
  for (let isFirst = true; ; isFirst = false) {
    const block = await reader.take(blockBytes);
    if (block.length === 0 && isFirst) return undefined;
    if (block.length < blockBytes) throw damaged("it ends within a header");
    if (isZero(block, 0, blockBytes)) {
      if (isFirst) return undefined;
      throw damaged("an extended header is followed by none");
    }
    const header = readTarHeader(block);
    if (!"xXgLK".includes(header.flag)) return await entryOf(block, header, ahead, reader);
    extensionBytes += header.sizeBytes;
    if (extensionBytes > longestExtension) throw damaged(`an extended header is longer than ${longestExtension} bytes`);
    const bytes = await takePadded(reader, header.sizeBytes);
    extend(ahead, header.flag, bytes, globals);
  }
}

function extend(ahead: Ahead, flag: string, bytes: Buffer, globals: Map<string, Buffer>): void {
  if (flag === "L") ahead.longName = untilNul(bytes);
  else if (flag === "K") ahead.longLink = untilNul(bytes);
  else {
    const { values, sparsePairs } = readPax(bytes);
    for (const [key, value] of values) {
      for (const map of flag === "g" ? [globals, ahead.pax.values] : [ahead.pax.values]) {
        if (value.length === 0) map.delete(key);
        else map.set(key, value);
      }
    }
    ahead.pax = { values: ahead.pax.values, sparsePairs: [...ahead.pax.sparsePairs, ...sparsePairs] };
  }
}

const untilNul = (bytes: Buffer): Buffer => {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
};

async function takePadded(reader: ChunkReader, sizeBytes: number): Promise<Buffer> {
  const padded = Math.ceil(sizeBytes / blockBytes) * blockBytes;
  const bytes = await reader.take(padded);
  if (bytes.length < padded) throw damaged("it ends within an extended header");
  return bytes.subarray(0, sizeBytes);
}

const types: Readonly<Record<string, TarType>> = {
  "0": "file",
  "7": "file",
  S: "file",
  "1": "link",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  D: "directory",
  "6": "fifo",
};
/** Whatever their size field says, nothing is stored for them. */
const bodiless = "123456";

async function entryOf(
  block: Buffer,
  header: TarHeader,
  { pax, longName, longLink }: Ahead,
  reader: CountedReader,
): Promise<{ entry: TarEntry; passOver: () => Promise<void> }> {
  const said = (key: string): Buffer | undefined => pax.values.get(key);
  const { flag } = header;
  if (flag === "M") throw damaged("it is a part of a set of volumes");
  const saidSize = said("size");
  const size = saidSize ? wholeNumber(saidSize, "size") : header.sizeBytes;
  const sparse = await sparseOf(block, header, pax, reader);
  const inBody = sparse?.isInBody ? sparse.mapBytes : 0;
  const storedBytes = (bodiless.includes(flag) ? 0 : size) - inBody;
  if (storedBytes < 0) throw damaged("the map of a sparse file is longer than the file");
  if (sparse) checkSparse(sparse.extents, sparse.sizeBytes, storedBytes);
  const nameBytes = bounded(said("GNU.sparse.name") ?? said("path") ?? longName ?? header.name);
  const linkBytes = bounded(said("linkpath") ?? longLink ?? header.linkname);
  const isFolderName = nameBytes.at(-1) === 0x2f && (flag === "0" || flag === "7");
  const plan: BodyPlan = {
    sizeBytes: sparse?.sizeBytes ?? storedBytes,
    storedBytes,
    extents: sparse?.extents ?? (storedBytes > 0 ? [{ offset: 0, length: storedBytes }] : []),
    name: nameBytes.toString("utf8"),
  };
  const body = readBody(reader, plan);
  const entry: TarEntry = {
    name: plan.name,
    nameBytes,
    type: isFolderName ? "directory" : (types[flag] ?? "other"),
    sizeBytes: plan.sizeBytes,
    linkname: linkBytes.toString("utf8"),
    linkBytes,
    mode: header.mode,
    uid: idOf(said("uid"), header.uid),
    gid: idOf(said("gid"), header.gid),
    mtimeSeconds: timeOf(said("mtime"), header.mtimeSeconds),
    device: { major: header.devMajor, minor: header.devMinor },
    storedAt: reader.position,
    ...(sparse ? { extents: sparse.extents } : {}),
    pax: new Map([...pax.values].map(([key, value]) => [key, value.toString("utf8")])),
    body: () => body.whole(),
    pieces: () => body.pieces(),
  };
  return { entry, passOver: () => body.passOver() };
}

async function sparseOf(
  block: Buffer,
  { flag }: TarHeader,
  pax: PaxRecords,
  reader: ChunkReader,
): Promise<SparseMap | undefined> {
  if (flag === "S") return await readOldSparse(block, reader);
  return flag === "0" || flag === "7" ? await readPaxSparse(pax, reader) : undefined;
}

function bounded(name: Buffer): Buffer {
  if (name.length > longestNameBytes) throw damaged(`a name is longer than ${longestNameBytes} bytes`);
  if (name.includes(0)) throw damaged("a name holds a NUL");
  return name;
}

const idOf = (said: Buffer | undefined, inHeader: number): number =>
  said && /^\d+$/.test(said.toString("latin1")) ? Number(said.toString("latin1")) : inHeader;

const timeOf = (said: Buffer | undefined, inHeader: number): number =>
  said && /^-?\d+(\.\d*)?$/.test(said.toString("latin1")) ? Number(said.toString("latin1")) : inHeader;
