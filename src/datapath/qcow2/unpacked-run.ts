// Room for compressed clusters that are to be unpacked: those that are neighbours on the disk lie side by side in a large buffer, so
// that they are written together.
import { handOn, largeBuffer, largeBytes } from "../../lib/buffers.ts";

/** A stretch of the disk. */
export interface Run {
  readonly guest: number;
  readonly bytes: Buffer;
}

export class UnpackedRun {
  readonly #clusterBytes: number;
  #memory: Buffer | undefined;
  #guest = 0;
  #length = 0;

  constructor(clusterBytes: number) {
    this.#clusterBytes = clusterBytes;
  }

  /** Whether a cluster for this place goes into the same buffer. */
  takes(guest: number): boolean {
    if (!this.#memory) return true;
    return guest === this.#guest + this.#length && this.#length + this.#clusterBytes <= this.#memory.length;
  }

  /** @param wantedBytes of the cluster; fewer only at the disk's end @returns the room of a cluster */
  room(guest: number, wantedBytes: number): Buffer {
    if (!this.#memory) {
      this.#memory = this.#clusterBytes > largeBytes ? Buffer.allocUnsafeSlow(this.#clusterBytes) : largeBuffer();
      this.#guest = guest;
      this.#length = 0;
    }
    const into = this.#memory.subarray(this.#length, this.#length + this.#clusterBytes);
    this.#length += wantedBytes;
    return into;
  }

  /** What there is, and is empty again. To be given back with `giveBack`. */
  take(): Run | undefined {
    const memory = this.#memory;
    if (!memory) return undefined;
    this.#memory = undefined;
    const bytes = memory.length === largeBytes ? handOn(memory, this.#length) : memory.subarray(0, this.#length);
    return { guest: this.#guest, bytes };
  }
}
