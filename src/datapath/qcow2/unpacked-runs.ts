// Room for compressed clusters that are to be unpacked: one behind another in a large buffer, wherever on the disk they belong.
// Those that are neighbours on the disk too are written together.
import { alsoRead, handOn, largeBuffer, largeBytes } from "../../lib/buffers.ts";

/** A stretch of the disk. */
export interface Run {
  readonly guest: number;
  readonly bytes: Buffer;
  /** What `bytes` are a piece of, with those of other runs; each of them gives it back (`giveBack`). */
  readonly memory: Buffer;
}

interface Stretch {
  readonly guest: number;
  readonly start: number;
  end: number;
}

export class UnpackedRuns {
  readonly #clusterBytes: number;
  #memory: Buffer | undefined;
  #usedBytes = 0;
  #stretches: Stretch[] = [];

  constructor(clusterBytes: number) {
    this.#clusterBytes = clusterBytes;
  }

  /** Whether one more cluster goes in before `take`. */
  get hasRoom(): boolean {
    return !this.#memory || this.#usedBytes + this.#clusterBytes <= this.#memory.length;
  }

  /** @param wantedBytes of the cluster; fewer only at the disk's end @returns the room of a whole cluster */
  room(guest: number, wantedBytes: number): Buffer {
    this.#memory ??= this.#clusterBytes > largeBytes ? Buffer.allocUnsafeSlow(this.#clusterBytes) : largeBuffer();
    const start = this.#usedBytes;
    this.#usedBytes += this.#clusterBytes;
    const last = this.#stretches.at(-1);
    if (last?.end === start && last.guest + start - last.start === guest) last.end = start + wantedBytes;
    else this.#stretches.push({ guest, start, end: start + wantedBytes });
    return this.#memory.subarray(start, start + this.#clusterBytes);
  }

  /** What there is, in the order it came in; then it is empty again. */
  take(): Run[] {
    const whole = this.#memory;
    if (!whole) return [];
    const stretches = this.#stretches;
    const memory = whole.length === largeBytes ? handOn(whole, this.#usedBytes) : whole;
    // One reader for each: the first is there already.
    for (let more = 1; more < stretches.length; more += 1) alsoRead(memory);
    this.#memory = undefined;
    this.#usedBytes = 0;
    this.#stretches = [];
    return stretches.map(({ guest, start, end }) => ({ guest, bytes: whole.subarray(start, end), memory }));
  }
}
