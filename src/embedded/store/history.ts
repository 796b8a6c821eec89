// The newest changes, kept for watches to resume from; bounded by number and by size.
import type { Change } from "./types.ts";

/** Changes kept at most. */
export const historyLength = 10_000;
/** JSON kept at most, in characters: what the changes hold beyond the rows that are current anyway. */
const historySize = 12 * 1024 * 1024;

export interface History {
  add(change: Change): void;
  /** Changes after a revision, oldest first; undefined when some of them are no longer kept. */
  since(revision: number): Change[] | undefined;
}

/** @param start the revision before the first change that will be added */
export function openHistory(start: number): History {
  let changes: Change[] = [];
  let head = 0;
  let size = 0;
  let oldest = start;
  const sizeOf = ({ now, before }: Change): number => (now ?? before)?.text.length ?? 0;

  return {
    add(change) {
      changes.push(change);
      size += sizeOf(change);
      while (changes.length - head > historyLength || (size > historySize && changes.length - head > 1)) {
        const dropped = changes[head];
        if (!dropped) break;
        size -= sizeOf(dropped);
        oldest = dropped.revision;
        head += 1;
      }
      // Cut in halves: cutting one by one would move the whole array with each write.
      if (head > 1000 && head * 2 > changes.length) {
        changes = changes.slice(head);
        head = 0;
      }
    },
    since(revision) {
      if (revision < oldest) return undefined;
      let low = head;
      let high = changes.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
        else high = middle;
      }
      return changes.slice(low);
    },
  };
}
