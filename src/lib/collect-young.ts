// Asks for a collection of what was made and dropped lately, in the middle of work that makes much of it.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: ((options: { type: "minor" }) => void) | undefined;

/** V8 counts the small objects and hardly the memory behind them, and lets it lie for long (docs/adr/0019). */
const collectedBytes = 8 * 1024 * 1024;
let sinceCollected = 0;

/** @param bytes received in memory of their own, which is dropped soon; told by whoever receives them, once */
export function collectNowAndThen(bytes: number): void {
  sinceCollected += bytes;
  if (sinceCollected < collectedBytes) return;
  sinceCollected = 0;
  collectYoung();
}

/** Short where little is alive: only what is young is looked at. */
function collectYoung(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as NonNullable<typeof collect>;
  }
  collect({ type: "minor" });
}

/**
 * For who makes much in a small heap. Left to itself V8 begins a whole collection with every few MiB of it, and each marks the
 * packages' objects anew (docs/adr/0019).
 * @param percent of what stayed after one: by how much more the heap may grow until the next
 */
export function putOffWholeCollections(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
