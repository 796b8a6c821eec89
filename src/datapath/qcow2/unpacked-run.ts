// Compressed clusters on their way to the disk: unpacked side by side into large buffers, so that neighbours of the disk are
// written together; on other threads where there is more than one processor to be had.
import { giveBack, handOn, largeBuffer, largeBytes } from "../../lib/buffers.ts";
import { decompressInto, decompressInBackground, notDecompressed } from "./decompress.ts";
import type { Qcow2Header } from "./header.ts";

export interface UnpackedRunOptions {
  readonly header: Pick<Qcow2Header, "compression" | "clusterBytes">;
  readonly inBackground: boolean;
  /** The bytes are the caller's again when it resolves. */
  readonly place: (guest: number, bytes: Buffer) => Promise<void>;
}

/** Neighbours on the disk, in one buffer. */
export class UnpackedRun {
  readonly #options: UnpackedRunOptions;
  #memory: Buffer | undefined;
  #guest = 0;
  #length = 0;
  /** Clusters that are being unpacked. */
  #jobs: Promise<void>[] = [];
  /** The same, and those of runs that were sent on. None rejects. */
  #reading = new Set<Promise<unknown>>();

  constructor(options: UnpackedRunOptions) {
    this.#options = options;
  }

  /** Whether a cluster for this place goes into the same buffer. */
  takes(guest: number): boolean {
    if (!this.#memory) return true;
    const { clusterBytes } = this.#options.header;
    return guest === this.#guest + this.#length && this.#length + clusterBytes <= this.#memory.length;
  }

  /** Resolves when nobody looks at an input any more. */
  async inputsUsed(): Promise<void> {
    await Promise.all(this.#reading);
  }

  /**
   * The input must stay as it is until `inputsUsed`.
   * @param host where the input lies in the file
   * @param wantedBytes of the cluster; fewer only at the disk's end
   * @returns of the input, as far as it is known to belong to the cluster
   * @throws Fault ImageCorrupt, or the landing does
   */
  async add(guest: number, host: number, input: Buffer, wantedBytes: number): Promise<number> {
    const { header, inBackground } = this.#options;
    if (!this.#memory) this.#begin(guest);
    const into = this.#memory?.subarray(this.#length, this.#length + header.clusterBytes) ?? Buffer.alloc(0);
    this.#length += wantedBytes;
    const job = inBackground ? decompressInBackground(header, input, into) : undefined;
    if (job) {
      const checked = job.then((usedBytes) => {
        if (usedBytes === undefined) throw notDecompressed(header.compression, host);
      });
      // Heard of when the run lands.
      const read = checked.catch(() => undefined).then(() => void this.#reading.delete(read));
      this.#reading.add(read);
      this.#jobs.push(checked);
      return 0;
    }
    const usedBytes = await decompressInto(header, input, into);
    if (usedBytes === undefined) throw notDecompressed(header.compression, host);
    return usedBytes;
  }

  /** Sends what there is on its way, and is empty again. @returns undefined when there is nothing */
  land(): { bytes: number; landing: Promise<void> } | undefined {
    const memory = this.#memory;
    if (!memory) return undefined;
    const part = memory.length === largeBytes ? handOn(memory, this.#length) : memory.subarray(0, this.#length);
    const landing = this.#place(this.#guest, part, this.#jobs);
    this.#memory = undefined;
    this.#jobs = [];
    return { bytes: part.length, landing };
  }

  /** Lets go of what has not landed, once nobody unpacks into it. Never rejects. */
  async drop(): Promise<void> {
    this.#memory = undefined;
    this.#jobs = [];
    await this.inputsUsed();
  }

  #begin(guest: number): void {
    const { clusterBytes } = this.#options.header;
    this.#memory = clusterBytes > largeBytes ? Buffer.allocUnsafeSlow(clusterBytes) : largeBuffer();
    this.#guest = guest;
    this.#length = 0;
  }

  async #place(guest: number, part: Buffer, jobs: readonly Promise<void>[]): Promise<void> {
    // All of them, before anyone else may have the memory.
    await Promise.allSettled(jobs);
    try {
      await Promise.all(jobs);
      await this.#options.place(guest, part);
    } finally {
      giveBack(part);
    }
  }
}
