// One pass over an image file in its own order: each cluster goes to its place on the disk when its bytes come by. Tables that
// come by are read too; what passed before its table is the business of `late`.
import { setImmediate as turn } from "node:timers/promises";
import { usableProcessors } from "../../lib/processors.ts";
import { decompressCluster, notDecompressed } from "./decompress.ts";
import { checkInFile, eachCluster, eachTable, entryKinds, mostEntriesOf, type EntryKind } from "./entries.ts";
import { EntryHeap, type Entry } from "./entry-heap.ts";
import type { Qcow2Header } from "./header.ts";
import { HostWindow } from "./host-window.ts";
import { Landings } from "./landings.ts";
import type { LateBytes } from "./late-bytes.ts";
import { PassDeclined } from "./pass-declined.ts";
import type { PassState } from "./pass-state.ts";
import { checkTable } from "./table-walk.ts";
import { unpackClusters, type ClusterToUnpack } from "./unpack-clusters.ts";
import { UnpackedRuns, type Run } from "./unpacked-runs.ts";

const MIB = 1024 * 1024;

/** The image's bytes in order. */
export interface HostInput {
  /**
   * Bytes at the place where the last ones ended, good until the next call; undefined at the end of the file.
   */
  next(): Promise<Buffer | undefined>;
  /** Present where leaving out bytes saves something: goes on at the offset. */
  skipTo?: (offset: number) => Promise<void>;
}

export interface HostPassOptions {
  header: Qcow2Header;
  input: HostInput;
  /** What is to be placed, and tables that are to be read. */
  plan: EntryHeap;
  /** Present in a stream, whose tables come by on the way. */
  late?: LateBytes;
  /** Offset of the file that the input begins at: everything below it was placed before. Default 0. */
  startAt?: number;
  /** In a stream that begins at `startAt`: what the pass before knew there; its plan and its late bytes are in `plan` and `late`. */
  from?: Pick<PassState, "coveredTo" | "deferred">;
  /**
   * Told a rising offset of the file below which everything is placed; in a stream that, or in `state`. At least whenever the pass
   * has to wait for input. @param takenTo offset in the file behind the last byte of the input that was looked at
   */
  onLowWater?: (offset: number, takenTo: number) => void;
  signal: AbortSignal;
  /** The bytes are the caller's again when it resolves. Calls may overlap, and take effect in their order. */
  place: (guest: number, bytes: Buffer) => Promise<void>;
}

/** Unreferenced stretches shorter than this are read and dropped: asking anew costs more. */
const smallestSkipBytes = MIB;
/** Unpacked bytes of clusters that are unpacked together. */
const mostTogetherBytes = 4 * MIB;
/** Input between two places that onLowWater is told at most, where input is there all the time. */
const mostUntoldBytes = 2 * MIB;

export class HostPass {
  readonly #options: HostPassOptions;
  readonly #window = new HostWindow();
  readonly #unpacked: UnpackedRuns;
  readonly #landings: Landings;
  readonly #isShared: boolean;
  #isAtEnd = false;
  /** In a stream: everything below is placed, kept, or known to be of no use. */
  #coveredTo = 0;
  /** Offset of the input at which onLowWater was told last. */
  #toldAt = 0;
  /** Tables for which the plan had no room: they are read again at the end. */
  #deferred: Entry[] = [];
  /** It waits for bytes, and everything is as it was told by onLowWater. */
  #isAtRest = false;

  constructor(options: HostPassOptions) {
    this.#options = options;
    this.#unpacked = new UnpackedRuns(options.header.clusterBytes);
    this.#landings = new Landings(options.place);
    // Who sends a stream has the other processor (docs/adr/0029).
    this.#isShared = !options.late && usableProcessors() >= 1.5;
    this.#coveredTo = options.from?.coveredTo ?? 0;
    this.#deferred.push(...(options.from?.deferred ?? []));
    this.#window.moveTo(options.startAt ?? 0);
  }

  /** Places all that is planned. @throws Fault, PassDeclined, what input and place fail with; the signal's reason */
  async run(): Promise<void> {
    try {
      await this.#runPlan();
      await this.#landed();
      this.#isAtRest = true;
    } finally {
      // None of them may still look at a buffer, or fail unheard, when the caller goes on.
      await this.#landings.over();
    }
  }

  /**
   * In a stream, while it waits for bytes or is done: all but the head of what goes on at the place that onLowWater was told.
   * Undefined at other times, or when some of it is too far away.
   */
  state(): Omit<PassState, "head"> | undefined {
    const late = this.#isAtRest ? this.#options.late?.state() : undefined;
    return late && { ...late, coveredTo: this.#coveredTo, plan: this.#options.plan.all(), deferred: this.#deferred };
  }

  async #runPlan(): Promise<void> {
    const { plan, startAt = 0, late, signal } = this.#options;
    for (let entry = plan.first(); entry; entry = plan.first()) {
      if (entry.host < startAt) {
        this.#skipPlaced(entry, startAt);
        continue;
      }
      if (this.#window.end <= entry.host || this.#hasToKeep(entry.host)) await this.#advanceTo(entry.host);
      else this.#window.dropBelow(entry.host);
      if (entry.kind === entryKinds.standard) {
        await this.#placeSome(entry);
        continue;
      }
      const end = entry.host + entry.length;
      while (this.#window.end < end && (await this.#readOn(entry.host)));
      plan.dropFirst();
      if (entry.kind === entryKinds.compressed) await this.#unpackFrom(entry);
      else await this.#readTable(entry);
      await this.#landings.someRoom();
    }
    if (late && this.#deferred.length > 0) await this.#readDeferred();
    late?.clear();
    signal.throwIfAborted();
  }

  /** A compressed cluster that begins below was placed whole, of a standard stretch the part below. */
  #skipPlaced({ kind, host, length }: Entry, startAt: number): void {
    const { plan } = this.#options;
    plan.trimFirst(kind === entryKinds.standard ? Math.min(length, startAt - host) : length);
  }

  /** Reads up to the place and lets go of what comes before it. */
  async #advanceTo(host: number): Promise<void> {
    const { input } = this.#options;
    for (;;) {
      await this.#letGoBelow(Math.min(host, this.#window.end));
      if (this.#window.end > host) return;
      if (input.skipTo && host - this.#window.end > smallestSkipBytes) {
        await this.#landed();
        this.#window.moveTo(host);
        await input.skipTo(host);
      }
      if (!(await this.#readOn(host))) return;
    }
  }

  /** @param firstOpen where the first entry begins that is not placed @returns false at the end of the file */
  async #readOn(firstOpen: number): Promise<boolean> {
    const { input, signal, onLowWater } = this.#options;
    if (this.#isAtEnd) return false;
    await this.#landings.ofInput();
    signal.throwIfAborted();
    this.#window.settle();
    const coming = input.next();
    // Heard of below; until then it is no unhandled failure.
    coming.catch(() => undefined);
    // What was unpacked lands meanwhile; it is waited for where there is time, or a place to go on from is due.
    if (this.#window.end - this.#toldAt >= mostUntoldBytes || !(await isThere(coming))) {
      await this.#landed();
      this.#toldAt = this.#window.end;
      this.#isAtRest = true;
      onLowWater?.(Math.min(firstOpen, this.#toldAt), this.#toldAt);
    }
    const chunk = await coming;
    this.#isAtRest = false;
    if (chunk) this.#window.append(chunk);
    else this.#isAtEnd = true;
    return chunk !== undefined;
  }

  /** In a stream, what a table still to come may point to is kept. */
  #hasToKeep(host: number): boolean {
    return this.#options.late !== undefined && this.#expectsTables && this.#keptTo < host;
  }

  get #keptTo(): number {
    return Math.max(this.#coveredTo, this.#window.base);
  }

  async #letGoBelow(host: number): Promise<void> {
    const { late } = this.#options;
    if (late && this.#hasToKeep(host)) {
      const from = this.#keptTo;
      for (const [at, piece] of this.#window.pieces(from, host)) await late.keep(at, piece);
      this.#coveredTo = host;
    }
    this.#window.dropBelow(host);
  }

  get #expectsTables(): boolean {
    return this.#options.plan.tables > 0 || this.#deferred.length > 0;
  }

  /** Places what is there of the first entry, which is a standard stretch. */
  async #placeSome({ host, length, guest }: Entry): Promise<void> {
    const { plan, header } = this.#options;
    const bytes = this.#window.view(host, host + length);
    if (bytes.length === 0) {
      // The end of the file: of a cluster that is there in part the rest reads as zeros.
      checkInFile(header, entryKinds.standard, host, length, guest, this.#window.end);
      return plan.dropFirst();
    }
    plan.trimFirst(bytes.length);
    this.#note(host, bytes.length, guest, false);
    const placing = this.#landings.place(guest, bytes);
    // Carried bytes move when the window goes on; those of a chunk stay until the next one.
    if (this.#window.isCarried(host)) await placing;
  }

  async #landed(): Promise<void> {
    for (const run of this.#unpacked.take()) this.#landings.send(run);
    await this.#landings.all();
  }

  /** With those that come next and are there, so that two threads have something to do. */
  async #unpackFrom(first: Entry): Promise<void> {
    const { header } = this.#options;
    const entries = [first, ...this.#compressedHere(mostTogetherBytes / header.clusterBytes - 1)];
    const full: Run[] = [];
    const clusters = entries.map((entry) => this.#toUnpack(entry, full));
    await unpackClusters(header, clusters, this.#isShared);
    for (const [index, { host, guest }] of entries.entries()) {
      const { usedBytes } = clusters[index] ?? {};
      if (usedBytes === undefined) throw notDecompressed(header.compression, host);
      // In the file's order: what a stream keeps depends on how much of its input each of them used.
      if (index > 0 && this.#hasToKeep(host)) await this.#letGoBelow(host);
      // One that the disk's end cuts may be wanted whole elsewhere.
      if (guest + header.clusterBytes <= header.virtualSizeBytes) this.#note(host, usedBytes, guest, true);
    }
    for (const run of full) this.#landings.send(run);
  }

  /** Takes them off the plan. Nothing can come between them any more. */
  #compressedHere(most: number): Entry[] {
    const { plan } = this.#options;
    const found: Entry[] = [];
    while (found.length < most) {
      const next = plan.first();
      if (next?.kind !== entryKinds.compressed || next.host + next.length > this.#window.end) break;
      plan.dropFirst();
      found.push(next);
    }
    return found;
  }

  /** @param full takes the runs of the buffer that the cluster has no room in */
  #toUnpack({ kind, host, length, guest }: Entry, full: Run[]): ClusterToUnpack {
    const { header } = this.#options;
    const bytes = this.#window.view(host, host + length);
    if (bytes.length < length) checkInFile(header, kind, host, length, guest, this.#window.end);
    // Carried bytes move with the next view.
    const input = padded(this.#window.isCarried(host) ? Buffer.from(bytes) : bytes, length);
    if (!this.#unpacked.hasRoom) full.push(...this.#unpacked.take());
    return { input, into: this.#unpacked.room(guest, Math.min(header.clusterBytes, header.virtualSizeBytes - guest)) };
  }

  #onDisk(guest: number, cluster: Buffer): Buffer {
    const { clusterBytes, virtualSizeBytes } = this.#options.header;
    const length = Math.min(clusterBytes, virtualSizeBytes - guest);
    return length === cluster.length ? cluster : cluster.subarray(0, length);
  }

  /** In a stream: the bytes need not be kept, the target has them. */
  #note(host: number, length: number, guest: number, isCompressed: boolean): void {
    const { late } = this.#options;
    if (!late || host + length <= this.#coveredTo) return;
    // What another entry covers already is told of by its own record.
    const begin = isCompressed ? host : Math.max(host, this.#coveredTo);
    if (this.#expectsTables && begin >= this.#coveredTo) {
      late.notePlaced(begin, host + length - begin, guest + begin - host, isCompressed);
    } else if (this.#expectsTables) return;
    this.#coveredTo = host + length;
  }

  async #readTable(entry: Entry): Promise<void> {
    const { kind, host, length } = entry;
    const { end } = this.#window;
    checkTable(host, length, this.#isAtEnd ? end : Infinity, kind === entryKinds.l1 ? "L1 table" : "L2 table");
    const table = this.#window.view(host, host + length);
    if (this.#options.plan.room < this.#entriesIn(entry, table)) return void this.#deferred.push(entry);
    this.#coveredTo = Math.max(this.#coveredTo, host + length);
    await this.#see(entry, table, this.#window.base);
  }

  /** At most; counted only where the plan could become full. */
  #entriesIn({ kind, guest }: Entry, table: Buffer): number {
    const { header, plan } = this.#options;
    const most = mostEntriesOf(header, kind, table.length);
    if (plan.room >= most || kind === entryKinds.l1) return most;
    let count = 0;
    eachCluster(header, table, guest, Infinity, () => (count += 1));
    return count;
  }

  /** @param passedBelow where bytes are that come by no more */
  async #see({ kind, guest }: Entry, table: Buffer, passedBelow: number): Promise<void> {
    const { header, plan } = this.#options;
    const passed = new EntryHeap(header.clusterBytes);
    const push = (heap: EntryHeap, ...seen: [EntryKind, number, number, number]): void => {
      if (!heap.push(...seen)) throw new PassDeclined("the image has too many clusters to plan in one pass");
    };
    const see = (seen: EntryKind, at: number, length: number, to: number): void => {
      const before = passedBelow - at;
      if (before <= 0) return push(plan, seen, at, length, to);
      if (seen !== entryKinds.standard || before >= length) return push(passed, seen, at, length, to);
      push(passed, seen, at, before, to);
      push(plan, seen, passedBelow, length - before, to + before);
    };
    if (kind === entryKinds.l1) eachTable(header, table, guest, see);
    else eachCluster(header, table, guest, Infinity, see);
    for (let entry = passed.first(); entry; entry = passed.first()) {
      passed.dropFirst();
      await this.#takeLate(entry, passedBelow);
    }
  }

  /** The entry's bytes have passed: they are kept, or on the target, or in the window still. */
  async #takeLate(entry: Entry, passedBelow: number): Promise<void> {
    const { late, signal, header } = this.#options;
    const { kind, host, length, guest } = entry;
    if (!late) throw new Error("a plan made before the pass has no tables in it");
    signal.throwIfAborted();
    await this.#landed();
    const gone = (): PassDeclined => new PassDeclined("several places share bytes that have passed");
    const same = kind === entryKinds.compressed ? await late.unpackedBefore(host, header.clusterBytes) : undefined;
    if (same) return await this.#landings.place(guest, this.#onDisk(guest, same));
    const bytes = await this.#passedBytes(late, host, length);
    if (kind === entryKinds.compressed) {
      const unpacked = await decompressCluster(header, padded(bytes, length));
      if (!unpacked)
        throw this.#isAtEnd && bytes.length === length ? notDecompressed(header.compression, host) : gone();
      return await this.#landings.place(guest, this.#onDisk(guest, unpacked.bytes));
    }
    if (bytes.length < length) {
      if (!this.#isAtEnd || host + bytes.length < this.#window.end) throw gone();
      if (kind !== entryKinds.standard) checkTable(host, length, this.#window.end, "L2 table");
      else checkInFile(header, kind, host, length, guest, this.#window.end);
    }
    if (kind === entryKinds.l2) return await this.#see(entry, bytes, passedBelow);
    await this.#landings.place(guest, bytes);
  }

  async #passedBytes(late: LateBytes, host: number, length: number): Promise<Buffer> {
    const bytes = await late.read(host, length);
    if (bytes.length === length || host + bytes.length < this.#window.base) return bytes;
    return Buffer.concat([bytes, this.#window.view(host + bytes.length, host + length)]);
  }

  /** Everything has come by: what these tables point to is kept, or placed. */
  async #readDeferred(): Promise<void> {
    await this.#landed();
    do await this.#letGoBelow(this.#window.end);
    while (await this.#readOn(Infinity));
    const { late } = this.#options;
    for (const entry of this.#deferred) {
      const table = await late?.read(entry.host, entry.length);
      if (table?.length !== entry.length) throw new PassDeclined("a table that was put off is gone");
      await this.#see(entry, table, Infinity);
    }
    this.#deferred = [];
  }
}

/** Whether it has come without any wait for the world outside. */
async function isThere(coming: Promise<unknown>): Promise<boolean> {
  let is = false;
  const note = (): void => void (is = true);
  coming.then(note, note);
  await turn();
  return is;
}

/** Less than a sector of a compressed cluster can be missing at the end of the file: zeros, as for qemu. */
const padded = (bytes: Buffer, length: number): Buffer =>
  bytes.length < length && length - bytes.length < 512 ? Buffer.concat([bytes], length) : bytes;
