// The entries still to be placed, the one that comes first in the file on top. Typed arrays: 20 bytes an entry, so that the
// tables of a large image fit a bounded memory.
import { entryKinds, type EntryKind } from "./entries.ts";

const MIB = 1024 * 1024;
/** 20 MiB of entries at most. */
export const mostEntries = 1 << 20;
const kindShift = 2 ** 24;

export interface Entry {
  kind: EntryKind;
  /** Offset in the image file. */
  host: number;
  /** Bytes in the image file, below 16 MiB. */
  length: number;
  /** Offset on the disk; of the L1 table: index of the first entry. */
  guest: number;
}

export class EntryHeap {
  #host = new Float64Array(1024);
  #guest = new Float64Array(1024);
  /** Length, and above it the kind. */
  #what = new Uint32Array(1024);
  #count = 0;
  readonly limit: number;
  readonly #longestRun: number;
  /** The standard stretch pushed last, while it may grow. */
  #run: Entry | undefined;
  /** Tables among the entries. */
  tables = 0;

  /** @param clusterBytes clusters that follow one another on both sides are joined, up to a MiB or one cluster */
  constructor(clusterBytes: number, limit = mostEntries) {
    this.limit = limit;
    this.#longestRun = Math.max(MIB, clusterBytes);
  }

  /** @returns false when it is full: the entry was not taken */
  push(kind: EntryKind, host: number, length: number, guest: number): boolean {
    if (kind !== entryKinds.standard) {
      if (!this.#insert(kind, host, length, guest)) return false;
      if (kind !== entryKinds.compressed) this.tables += 1;
      return true;
    }
    const run = this.#run;
    if (
      run &&
      run.host + run.length === host &&
      run.guest + run.length === guest &&
      run.length + length <= this.#longestRun
    ) {
      run.length += length;
      return true;
    }
    if (!this.#settle()) return false;
    this.#run = { kind, host, length, guest };
    return true;
  }

  /** The first entry of the file; undefined when there is none. */
  first(): Entry | undefined {
    this.#settle();
    return this.#count === 0 ? undefined : this.#at(0);
  }

  /** Leaves the beginning of the first entry out: so many of its bytes are dealt with. */
  trimFirst(bytes: number): void {
    this.#settle();
    const what = this.#what[0] ?? 0;
    if (what % kindShift <= bytes) return this.dropFirst();
    this.#sink((this.#host[0] ?? 0) + bytes, (this.#guest[0] ?? 0) + bytes, what - bytes);
  }

  /** How many more entries it takes for certain. */
  get room(): number {
    return this.limit - this.#count - (this.#run ? 1 : 0);
  }

  dropFirst(): void {
    this.#settle();
    if (this.#count === 0) return;
    if ((this.#what[0] ?? 0) >= 2 * kindShift) this.tables -= 1;
    this.#count -= 1;
    const last = this.#count;
    if (last > 0) this.#sink(this.#host[last] ?? 0, this.#guest[last] ?? 0, this.#what[last] ?? 0);
  }

  /** All of them, in no order. */
  all(): Entry[] {
    this.#settle();
    return Array.from({ length: this.#count }, (_, at) => this.#at(at));
  }

  clear(): void {
    this.#count = 0;
    this.#run = undefined;
    this.tables = 0;
  }

  #at(index: number): Entry {
    const what = this.#what[index] ?? 0;
    return {
      kind: Math.floor(what / kindShift) as EntryKind,
      host: this.#host[index] ?? 0,
      length: what % kindShift,
      guest: this.#guest[index] ?? 0,
    };
  }

  #settle(): boolean {
    const run = this.#run;
    if (!run) return true;
    if (!this.#insert(run.kind, run.host, run.length, run.guest)) return false;
    this.#run = undefined;
    return true;
  }

  #insert(kind: EntryKind, host: number, length: number, guest: number): boolean {
    // One place is left for the run that may still grow.
    if (this.#count >= this.limit - (kind === entryKinds.standard ? 0 : 1)) return false;
    if (this.#count === this.#host.length) this.#grow();
    let at = this.#count;
    this.#count += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#host[parent] ?? 0) <= host) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, host, guest, kind * kindShift + length);
    return true;
  }

  #sink(host: number, guest: number, what: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      if (child + 1 < this.#count && (this.#host[child + 1] ?? 0) < (this.#host[child] ?? 0)) child += 1;
      if ((this.#host[child] ?? 0) >= host) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, host, guest, what);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#host[from] ?? 0, this.#guest[from] ?? 0, this.#what[from] ?? 0);
  }

  #set(at: number, host: number, guest: number, what: number): void {
    this.#host[at] = host;
    this.#guest[at] = guest;
    this.#what[at] = what;
  }

  #grow(): void {
    const larger = <A extends Float64Array | Uint32Array>(old: A, fresh: A): A => {
      fresh.set(old);
      return fresh;
    };
    const room = Math.min(this.limit, 2 * this.#host.length);
    this.#host = larger(this.#host, new Float64Array(room));
    this.#guest = larger(this.#guest, new Float64Array(room));
    this.#what = larger(this.#what, new Uint32Array(room));
  }
}
