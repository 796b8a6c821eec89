// Keeps what is written and not yet on the disk under 64 MiB, and written pages out of the page cache.
// A pod's memory limit counts dirty pages: without this a fast source stalls in reclaim.
import type { Syscalls } from "../../lib/syscalls.ts";
import { MIB } from "./zero-blocks.ts";

/** A batch is sent to the disk when it is this large. */
const BATCH_BYTES = 8 * MIB;
/** Batches on their way to the disk; with the batch being filled and one write in flight this stays well under 64 MiB. */
const IN_FLIGHT_BYTES = 32 * MIB;
/** A batch of more stretches than this is handled as the one range around them. */
const MAX_STRETCHES = 32;

interface Stretch {
  offset: number;
  length: number;
}
interface Batch {
  stretches: Stretch[];
  bytes: number;
}

export class WritebackWindow {
  readonly #fd: number;
  readonly #calls: Syscalls;
  #filling: Batch = { stretches: [], bytes: 0 };
  #sent: Batch[] = [];
  #sentBytes = 0;

  constructor(fd: number, calls: Syscalls) {
    this.#fd = fd;
    this.#calls = calls;
  }

  /** Tells of bytes just written; waits for the disk when too much is under way. @throws the errno of a failed writeback */
  async note(offset: number, length: number): Promise<void> {
    const batch = this.#filling;
    const last = batch.stretches.at(-1);
    if (last && last.offset + last.length === offset) last.length += length;
    else batch.stretches.push({ offset, length });
    batch.bytes += length;
    if (batch.bytes >= BATCH_BYTES) await this.#send(batch);
  }

  async #send(batch: Batch): Promise<void> {
    if (batch.stretches.length > MAX_STRETCHES) batch.stretches = [rangeAround(batch.stretches)];
    this.#filling = { stretches: [], bytes: 0 };
    for (const { offset, length } of batch.stretches) await this.#calls.startWriteback(this.#fd, offset, length);
    this.#sent.push(batch);
    this.#sentBytes += batch.bytes;
    while (this.#sentBytes > IN_FLIGHT_BYTES) await this.#finishOldest();
  }

  async #finishOldest(): Promise<void> {
    const batch = this.#sent.shift();
    if (!batch) return;
    for (const { offset, length } of batch.stretches) {
      await this.#calls.awaitWriteback(this.#fd, offset, length);
      await this.#calls.dropCache(this.#fd, offset, length);
    }
    this.#sentBytes -= batch.bytes;
  }
}

function rangeAround(stretches: Stretch[]): Stretch {
  let start = Infinity;
  let end = 0;
  for (const { offset, length } of stretches) {
    start = Math.min(start, offset);
    end = Math.max(end, offset + length);
  }
  return { offset: start, length: end - start };
}
