// Goes through block tables of one level or two, in bounded memory, giving timers and signals their turns.
import { setImmediate } from "node:timers/promises";
import { windowBytes, type TableReader } from "./table-reader.ts";

export interface FlatTable {
  readonly offset: number;
  readonly entries: number;
  readonly entryBytes: 4 | 8;
  /** For messages: "block map". */
  readonly name: string;
}

/** @throws Fault ImageTruncated; the signal's reason; whatever `visit` throws */
export async function walkFlat(
  reader: TableReader,
  { offset, entries, entryBytes, name }: FlatTable,
  signal: AbortSignal,
  visit: (table: Buffer, at: number, index: number) => void,
): Promise<void> {
  const step = windowBytes / entryBytes;
  for (let first = 0; first < entries; first += step) {
    const some = Math.min(step, entries - first);
    const piece = await reader.read(offset + first * entryBytes, some * entryBytes, name);
    for (let index = 0; index < some; index += 1) visit(piece, index * entryBytes, first + index);
    await setImmediate();
    signal.throwIfAborted();
  }
}

export interface TwoLevels {
  readonly upper: FlatTable;
  /** Offset of the lower table an upper entry names, in bytes; 0 when there is none. @throws Fault ImageCorrupt */
  readonly lowerOffset: (table: Buffer, at: number, index: number) => number;
  readonly lowerEntries: (upperIndex: number) => number;
  readonly lowerEntryBytes: 4 | 8;
  readonly lowerName: string;
}

/** @throws as walkFlat */
export async function walkTwoLevels(
  reader: TableReader,
  { upper, lowerOffset, lowerEntries, lowerEntryBytes, lowerName }: TwoLevels,
  signal: AbortSignal,
  visit: (table: Buffer, at: number, upperIndex: number, index: number) => void,
): Promise<void> {
  // Piece by piece: a table of the largest size has millions of entries.
  const step = 64 * 1024;
  for (let first = 0; first < upper.entries; first += step) {
    const some = Math.min(step, upper.entries - first);
    const piece = { ...upper, offset: upper.offset + first * upper.entryBytes, entries: some };
    const lowers: { index: number; offset: number }[] = [];
    await walkFlat(reader, piece, signal, (table, at, index) => {
      const offset = lowerOffset(table, at, first + index);
      if (offset !== 0) lowers.push({ index: first + index, offset });
    });
    // In the file's order: a hostile table that jumps to and fro would have the window read for every entry.
    lowers.sort((one, other) => one.offset - other.offset);
    for (const [turn, { index, offset }] of lowers.entries()) {
      if (turn % 64 === 0) await setImmediate();
      signal.throwIfAborted();
      const entries = lowerEntries(index);
      const table = await reader.read(offset, entries * lowerEntryBytes, `${lowerName} ${index}`);
      for (let entry = 0; entry < entries; entry += 1) visit(table, entry * lowerEntryBytes, index, entry);
    }
  }
}
