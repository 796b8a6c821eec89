// The plan of an image whose tables can be read before its data: all of it where it fits, else window by window of the file.
import { EntryHeap } from "./entry-heap.ts";
import { entryKinds } from "./entries.ts";
import { walkTables, type TableWalk } from "./table-walk.ts";

/** Entries are counted by stretches of the file, so that windows can be cut without another walk. */
const stretches = 4096;
/** Each window costs another walk through all tables. */
const mostWindows = 64;

export interface RangedPlan {
  /** Guest bytes that clusters with data of their own cover. */
  dataBytes: number;
  windows: number;
  /** Puts the entries of a window into the empty heap: those of the next one come later in the file. */
  load(window: number): Promise<void>;
  heap: EntryHeap;
}

/**
 * @param most entries at once; default all that an EntryHeap takes
 * @returns undefined when too many entries lie in one place of the file. @throws as walkTables
 */
export async function planRanged(walk: Omit<TableWalk, "see">, most?: number): Promise<RangedPlan | undefined> {
  const { header, fileBytes } = walk;
  const { clusterBytes } = header;
  const heap = new EntryHeap(clusterBytes, most);
  const stretchBytes = Math.max(clusterBytes, Math.ceil(fileBytes / stretches / clusterBytes) * clusterBytes);
  const counts = new Uint32Array(Math.ceil(fileBytes / stretchBytes) + 1);
  let isWhole = true;
  const clusters = await walkTables({
    ...walk,
    see(kind, host, length, guest) {
      const stretch = Math.floor(host / stretchBytes);
      counts[stretch] = (counts[stretch] ?? 0) + 1;
      isWhole &&= heap.push(kind, host, length, guest);
    },
  });
  const dataBytes = clusters * clusterBytes;
  if (isWhole) return { dataBytes, windows: 1, heap, load: () => Promise.resolve() };
  heap.clear();
  const borders = bordersOf(counts, heap.limit - 1);
  if (!borders || borders.length > mostWindows) return undefined;
  return {
    dataBytes,
    windows: borders.length,
    heap,
    async load(window) {
      const from = (borders[window - 1] ?? 0) * stretchBytes;
      const to = (borders[window] ?? 0) * stretchBytes;
      await walkTables({
        ...walk,
        see(kind, host, length, guest) {
          if (host < from || host >= to) return;
          if (!heap.push(kind, host, length, guest)) throw new Error(`window ${window} of the plan is too small`);
        },
      });
    },
  };
}

/** @returns the stretch each window ends before; undefined when one stretch alone has too many entries */
function bordersOf(counts: Uint32Array, most: number): number[] | undefined {
  const borders: number[] = [];
  let sum = 0;
  for (const [stretch, count] of counts.entries()) {
    if (count > most) return undefined;
    if (sum + count > most) {
      borders.push(stretch);
      sum = 0;
    }
    sum += count;
  }
  borders.push(counts.length);
  return borders;
}

/** What is read in line instead: the L1 table, in pieces. */
export function planStream(heap: EntryHeap, l1Offset: number, l1Entries: number): void {
  const step = 128 * 1024;
  for (let first = 0; first < l1Entries; first += step) {
    heap.push(entryKinds.l1, l1Offset + first * 8, Math.min(step, l1Entries - first) * 8, first);
  }
}
