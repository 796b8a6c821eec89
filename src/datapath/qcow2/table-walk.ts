// Walks the L1 and L2 tables of an image whose bytes can be read anywhere, in the file's order: tables that lie side by side
// come in one read, and a few reads are under way at once.
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../lib/faults.ts";
import { coveredBytes, eachCluster, eachTable, type SeeEntry } from "./entries.ts";
import { neededL1Entries, type Qcow2Header } from "./header.ts";

/** Fills the buffer with the bytes from `offset` on. The range is within the file. */
export type ReadAt = (offset: number, into: Buffer) => Promise<void>;

export interface TableWalk {
  header: Qcow2Header;
  fileBytes: number;
  readAt: ReadAt;
  signal: AbortSignal;
  /** Told of the data in each L2 table, in the order of the tables in the file. */
  see: SeeEntry;
}

const MIB = 1024 * 1024;
const largestReadBytes = MIB;
/** Tables this close to one another are read together. */
const smallGapBytes = 64 * 1024;
const readsAhead = 4;

interface Table {
  host: number;
  length: number;
  guest: number;
}

/**
 * @returns guest clusters that have data of their own
 * @throws Fault ImageTruncated, ImageCorrupt, whatever reading fails with; the signal's reason
 */
export async function walkTables(walk: TableWalk): Promise<number> {
  const { header, signal } = walk;
  const count = neededL1Entries(header);
  const step = largestReadBytes / 8;
  let clusters = 0;
  for (let first = 0; first < count; first += step) {
    const l1 = await readTable(walk, header.l1Offset + first * 8, Math.min(step, count - first) * 8, "L1 table");
    const tables: Table[] = [];
    eachTable(header, l1, first, (_, host, length, guest) => tables.push({ host, length, guest }));
    tables.sort((one, other) => one.host - other.host);
    for await (const { at, bytes, some } of reads(walk, tables)) {
      for (const { host, length, guest } of some) {
        clusters += eachCluster(header, bytes.subarray(host - at, host - at + length), guest, walk.fileBytes, walk.see);
      }
      // Reads from memory take no turn of their own, and timers and signals need theirs.
      await setImmediate();
      signal.throwIfAborted();
    }
  }
  return clusters;
}

interface Group {
  at: number;
  bytes: Buffer;
  some: Table[];
}

async function* reads(walk: TableWalk, tables: readonly Table[]): AsyncGenerator<Group> {
  const waiting: Promise<Group>[] = [];
  try {
    for (const some of groupsOf(tables)) {
      const reading = readGroup(walk, some);
      // Whoever awaits it hears of its failure; until then it is no unhandled one.
      reading.catch(() => undefined);
      waiting.push(reading);
      const next = waiting.length < readsAhead ? undefined : waiting.shift();
      if (next) yield await next;
    }
    for (let next = waiting.shift(); next; next = waiting.shift()) yield await next;
  } finally {
    await Promise.allSettled(waiting);
  }
}

function* groupsOf(tables: readonly Table[]): Generator<Table[]> {
  let some: Table[] = [];
  let end = 0;
  for (const table of tables) {
    const [first] = some;
    const isNear =
      first && table.host - end <= smallGapBytes && table.host + table.length - first.host <= largestReadBytes;
    // A table that several entries share is taken in many groups, so that each stays short.
    if (first && (!isNear || some.length >= 4096)) {
      yield some;
      some = [];
      end = 0;
    }
    some.push(table);
    end = Math.max(end, table.host + table.length);
  }
  if (some.length > 0) yield some;
}

async function readGroup(walk: TableWalk, some: Table[]): Promise<Group> {
  const at = some[0]?.host ?? 0;
  const end = some.reduce((furthest, { host, length }) => Math.max(furthest, host + length), 0);
  const what = `L2 table ${Math.floor((some.at(-1)?.guest ?? 0) / coveredBytes(walk.header))}`;
  return { at, bytes: await readTable(walk, at, end - at, what), some };
}

async function readTable({ fileBytes, readAt }: TableWalk, offset: number, length: number, what: string) {
  checkTable(offset, length, fileBytes, what);
  const bytes = Buffer.allocUnsafe(length);
  await readAt(offset, bytes);
  return bytes;
}

/** @throws Fault ImageTruncated */
export function checkTable(offset: number, length: number, fileBytes: number, what: string): void {
  if (offset + length <= fileBytes) return;
  throw new Fault(
    "ImageTruncated",
    `the image ends at byte ${fileBytes}, before the end of its ${what} (${offset} to ${offset + length})`,
  );
}
