// One pass over an image file in its own order: each cluster goes to its place on the disk when its bytes come by. Tables that
// come by are read too, and what passed before its table waits in `kept`.
import { decompressCluster, notDecompressed } from "./decompress.ts";
import { checkInFile, eachCluster, eachTable, entryKinds, type EntryKind } from "./entries.ts";
import { EntryHeap, type Entry } from "./entry-heap.ts";
import type { Qcow2Header } from "./header.ts";
import { HostWindow } from "./host-window.ts";
import type { KeptBytes } from "./kept-bytes.ts";
import { checkTable } from "./table-walk.ts";

const MIB = 1024 * 1024;

/** The image's bytes in order. */
export interface HostInput {
  /** Bytes at the place where the last ones ended; undefined at the end of the file. */
  next(): Promise<Buffer | undefined>;
  /** Present where leaving out bytes saves something: goes on at the offset. */
  skipTo?: (offset: number) => Promise<void>;
}

export interface HostPassOptions {
  header: Qcow2Header;
  input: HostInput;
  /** What is to be placed, and tables that are to be read. */
  plan: EntryHeap;
  /** Where bytes wait whose table comes later. */
  kept?: KeptBytes;
  signal: AbortSignal;
  place: (guest: number, bytes: Buffer) => Promise<void>;
}

/** Unreferenced stretches shorter than this are read and dropped: asking anew costs more. */
const smallestSkipBytes = MIB;

/** Thrown when this pass cannot go on, and another road can. */
export class PassDeclined extends Error {
  /** Whether scratch space would have let it go on. */
  readonly needsScratch: boolean;
  constructor(why: string, needsScratch = false) {
    super(why);
    this.name = "PassDeclined";
    this.needsScratch = needsScratch;
  }
}

export class HostPass {
  readonly #options: HostPassOptions;
  readonly #window: HostWindow;
  #rest: Buffer | undefined;
  #isAtEnd = false;
  /** Everything below is placed, or known to be of no use. */
  #coveredTo = 0;

  constructor(options: HostPassOptions) {
    this.#options = options;
    const { clusterBytes } = options.header;
    this.#window = new HostWindow(Math.max(MIB, 2 * clusterBytes + 512));
  }

  /** Places all that is planned. @throws Fault, PassDeclined, what input and place fail with; the signal's reason */
  async run(): Promise<void> {
    const { plan, signal } = this.#options;
    for (let entry = plan.first(); entry; entry = plan.first()) {
      signal.throwIfAborted();
      await this.#advanceTo(entry.host);
      await this.#fill(entry.host + entry.length);
      plan.dropFirst();
      await this.#take(entry);
    }
    this.#options.kept?.clear();
  }

  /** Reads up to the place and lets go of what comes before it. */
  async #advanceTo(host: number): Promise<void> {
    const { input } = this.#options;
    for (;;) {
      await this.#letGoBelow(Math.min(host, this.#window.end));
      const end = this.#window.end + (this.#rest?.length ?? 0);
      if (input.skipTo && host - end > smallestSkipBytes) {
        this.#rest = undefined;
        this.#window.moveTo(host);
        await input.skipTo(host);
      }
      if (this.#window.end > host || !(await this.#readOn())) return;
    }
  }

  async #fill(end: number): Promise<void> {
    while (this.#window.end < end && (await this.#readOn()));
  }

  /** @returns false at the end of the file */
  async #readOn(): Promise<boolean> {
    this.#rest ??= this.#isAtEnd ? undefined : await this.#options.input.next();
    if (!this.#rest) {
      this.#isAtEnd = true;
      return false;
    }
    const taken = this.#window.append(this.#rest);
    this.#rest = taken === this.#rest.length ? undefined : this.#rest.subarray(taken);
    return true;
  }

  /** What a table still to come may point to is kept. */
  async #letGoBelow(host: number): Promise<void> {
    const { plan, kept } = this.#options;
    const from = Math.max(this.#coveredTo, this.#window.base);
    if (plan.tables > 0 && from < host) {
      if (!kept) throw new Error("tables in the plan need a place for what passes before them");
      if (!(await kept.keep(from, this.#window.view(from, host)))) {
        throw new PassDeclined("too much of the image comes before its tables", true);
      }
      this.#coveredTo = host;
    }
    this.#window.dropBelow(host);
  }

  async #take(entry: Entry): Promise<void> {
    const { kind, host, length } = entry;
    const bytes = this.#window.view(host, host + length);
    const { end } = this.#window;
    if (kind === entryKinds.l1 || kind === entryKinds.l2) {
      checkTable(host, length, this.#isAtEnd ? end : Infinity, kind === entryKinds.l1 ? "L1 table" : "L2 table");
      this.#cover(host + length);
      return await this.#readTable(kind, bytes, entry);
    }
    if (bytes.length < length) checkInFile(this.#options.header, kind, host, length, entry.guest, end);
    // Less than a sector of a compressed cluster can be missing at the end of the file: zeros, as for qemu.
    const isShort = kind === entryKinds.compressed && bytes.length < length;
    const used = await this.#place(entry, isShort ? Buffer.concat([bytes], length) : bytes);
    if (used === undefined) throw notDecompressed(this.#options.header.compression, host);
    this.#cover(host + used);
  }

  #cover(end: number): void {
    this.#coveredTo = Math.max(this.#coveredTo, end);
  }

  /** @returns bytes of the input that belong to the entry; undefined when they make no cluster */
  async #place({ kind, guest, length }: Entry, bytes: Buffer): Promise<number | undefined> {
    const { header, place } = this.#options;
    if (kind === entryKinds.standard) {
      if (bytes.length > 0) await place(guest, bytes);
      return length;
    }
    const unpacked = await decompressCluster(header, bytes);
    if (!unpacked) return undefined;
    await place(guest, unpacked.bytes.subarray(0, Math.min(header.clusterBytes, header.virtualSizeBytes - guest)));
    return unpacked.usedBytes;
  }

  async #readTable(kind: EntryKind, table: Buffer, { guest }: Entry): Promise<void> {
    const { header, plan } = this.#options;
    const passedBelow = this.#window.base;
    const late = new EntryHeap(header.clusterBytes);
    const see = (seen: EntryKind, at: number, length: number, to: number): void => {
      if (!(at < passedBelow ? late : plan).push(seen, at, length, to)) {
        throw new PassDeclined("the image has too many clusters to plan in one pass");
      }
    };
    if (kind === entryKinds.l1) eachTable(header, table, guest, see);
    else eachCluster(header, table, guest, Infinity, see);
    for (let entry = late.first(); entry; entry = late.first()) {
      late.dropFirst();
      await this.#takeLate(entry);
    }
  }

  /** The entry's bytes have passed. */
  async #takeLate(entry: Entry): Promise<void> {
    const { kept, signal } = this.#options;
    const { kind, host, length } = entry;
    signal.throwIfAborted();
    const bytes = (await kept?.read(host, length)) ?? Buffer.alloc(0);
    const gone = (): PassDeclined => new PassDeclined("several places share bytes that have passed");
    if (bytes.length < length && kind !== entryKinds.compressed) throw gone();
    if (kind === entryKinds.l2) return await this.#readTable(kind, bytes, entry);
    // The last sector of a compressed cluster may belong to the next one, and be gone with it.
    if ((await this.#place(entry, bytes)) === undefined) throw gone();
  }
}
