// Sparse files in all dialects of GNU tar: type S with its map in headers, and PAX 0.0, 0.1 and 1.0.
import type { ChunkReader } from "../decoders/chunk-reader.ts";
import { damaged, mostExtents, type TarExtent } from "./entry.ts";
import { blockBytes, oldSparse, oldSparseMore, sizeField } from "./header.ts";
import { wholeNumber, type PaxRecords } from "./pax.ts";

export interface SparseMap {
  readonly extents: readonly TarExtent[];
  /** Size of the file with its holes. */
  readonly sizeBytes: number;
  /** Bytes of the archive the map itself took in front of the data. */
  readonly mapBytes: number;
  /** Whether the map's bytes count as part of the entry's stored size. */
  readonly isInBody: boolean;
}

/** Type S: four pieces in the header, further ones in blocks behind it. */
export async function readOldSparse(header: Buffer, reader: ChunkReader): Promise<SparseMap> {
  const sizeBytes = sizeField(header, oldSparse.realSize, 12, "real size");
  const numbers = piecesIn(header, oldSparse.at, oldSparse.pieces);
  let mapBytes = 0;
  for (let more = header[oldSparse.more] ?? 0; more !== 0;) {
    const block = await reader.take(blockBytes);
    if (block.length < blockBytes) throw damaged("it ends within the map of a sparse file");
    mapBytes += blockBytes;
    for (const number of piecesIn(block, oldSparseMore.at, oldSparseMore.pieces)) numbers.push(number);
    if (numbers.length > 2 * mostExtents) throw damaged("a sparse file has too many pieces");
    more = block[oldSparseMore.more] ?? 0;
  }
  return { extents: extentsOf(numbers), sizeBytes, mapBytes, isInBody: false };
}

function piecesIn(block: Buffer, at: number, count: number): number[] {
  const numbers: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const from = at + index * 24;
    // An empty field ends the list.
    if (block[from] === 0) break;
    numbers.push(sizeField(block, from, 12, "sparse map"), sizeField(block, from + 12, 12, "sparse map"));
  }
  return numbers;
}

/** @returns undefined for a file that is not sparse. @throws Fault ArchiveInvalid */
export async function readPaxSparse(pax: PaxRecords, reader: ChunkReader): Promise<SparseMap | undefined> {
  const { values, sparsePairs } = pax;
  const text = (key: string): string | undefined => values.get(`GNU.sparse.${key}`)?.toString("latin1");
  const size = text("realsize") ?? text("size");
  if (text("major") === "1" && text("minor") === "0") {
    const { numbers, mapBytes } = await readMapInBody(reader);
    return {
      extents: extentsOf(numbers),
      sizeBytes: wholeNumber(size ?? "", "real size"),
      mapBytes,
      isInBody: true,
    };
  }
  const map = text("map");
  if (size === undefined || (map === undefined && sparsePairs.length === 0 && text("numblocks") === undefined)) {
    return undefined;
  }
  const numbers = map === undefined ? sparsePairs : map === "" ? [] : map.split(",").map(mapNumber);
  return { extents: extentsOf(numbers), sizeBytes: wholeNumber(size, "real size"), mapBytes: 0, isInBody: false };
}

const mapNumber = (digits: string): number => wholeNumber(digits, "sparse map");

/** Format 1.0: a count, then that many pairs, a number a line, padded to a block. */
async function readMapInBody(reader: ChunkReader): Promise<{ numbers: number[]; mapBytes: number }> {
  const numbers: number[] = [];
  let wanted = 1;
  let mapBytes = 0;
  let line = "";
  while (numbers.length < wanted) {
    const block = await reader.take(blockBytes);
    if (block.length < blockBytes) throw damaged("it ends within the map of a sparse file");
    mapBytes += blockBytes;
    const lines = (line + block.toString("latin1")).split("\n");
    // The last is unfinished, or the padding.
    line = lines.pop() ?? "";
    if (line.length > 20 && numbers.length + lines.length < wanted) throw damaged("its sparse map is no number");
    for (const digits of lines) {
      if (numbers.length === wanted) break;
      numbers.push(mapNumber(digits));
      if (numbers.length > 1) continue;
      wanted = 1 + 2 * (numbers[0] ?? 0);
      if (wanted > 1 + 2 * mostExtents) throw damaged("a sparse file has too many pieces");
    }
  }
  return { numbers: numbers.slice(1), mapBytes };
}

function extentsOf(numbers: readonly number[]): TarExtent[] {
  if (numbers.length % 2 !== 0) throw damaged("the map of a sparse file is not in pairs");
  if (numbers.length > 2 * mostExtents) throw damaged("a sparse file has too many pieces");
  const extents: TarExtent[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset = 0, length = 0] = [numbers[at], numbers[at + 1]];
    // A last piece without bytes only tells where the file ends.
    if (length > 0) extents.push({ offset, length });
  }
  return extents;
}

/** Pieces in order, within the file, together as long as what is stored. @throws Fault ArchiveInvalid */
export function checkSparse(extents: readonly TarExtent[], sizeBytes: number, storedBytes: number): void {
  let end = 0;
  let stored = 0;
  for (const { offset, length } of extents) {
    if (offset < end || offset + length > sizeBytes) throw damaged("the map of a sparse file overlaps or is too long");
    end = offset + length;
    stored += length;
  }
  if (stored !== storedBytes) throw damaged("the map of a sparse file does not match what is stored");
}
