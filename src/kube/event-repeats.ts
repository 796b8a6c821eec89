// An Event said again and again - by a run for each change of an object in trouble - is written now and then only: what was held
// back raises the count of the next one that is written.
import { seconds } from "../lib/duration.ts";

/** Less than a run waits that tries again by itself, so that each such try is told. */
const spacingMs = seconds(5);
/** More Events than are told in that time; who is beyond it loses a count, not an Event. */
const mostRemembered = 1000;

export interface EventRepeats {
  /** @returns how often the Event of that name is to be counted now, with this time; 0 to hold it back */
  due(name: string): number;
}

export function createEventRepeats(now: () => number): EventRepeats {
  const seen = new Map<string, { writtenMs: number; held: number }>();
  return {
    due(name) {
      const nowMs = now();
      const before = seen.get(name);
      // A clock that was set back is no reason to be silent until it is there again.
      if (before && Math.abs(nowMs - before.writtenMs) < spacingMs) {
        before.held += 1;
        return 0;
      }
      // Last in order of insertion: the first to be forgotten was written longest ago.
      seen.delete(name);
      seen.set(name, { writtenMs: nowMs, held: 0 });
      for (const oldest of seen.keys()) {
        if (seen.size <= mostRemembered) break;
        seen.delete(oldest);
      }
      return 1 + (before?.held ?? 0);
    },
  };
}
