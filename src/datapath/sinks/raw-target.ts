// An open target file or device: takes bytes at offsets in order of arrival, leaves out zeros, and remembers what it wrote.
import { writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { giveBack, handOn, largeBuffer } from "../../lib/buffers.ts";
import { isUnsupported } from "../../lib/syscalls.ts";
import type { Syscalls } from "../../lib/syscalls.ts";
import { BlockMap } from "./block-map.ts";
import { directWrites, type DirectWrites } from "./direct-writes.ts";
import { targetFault, tooSmall } from "./target-faults.ts";
import { WritebackWindow } from "./writeback-window.ts";
import { BLOCK_BYTES, dataRuns, isZero, MIB, zeroMiB } from "./zero-blocks.ts";

/** Writes this large go straight from the caller's buffer; smaller ones are gathered first. */
const STRAIGHT_BYTES = MIB / 2;
/**
 * A buffer that falls into more runs than this is written without leaving the thread: handing 12 KiB to a worker and back
 * costs eight times the write itself. The window keeps the page cache roomy, so such a write is a mere copy.
 */
const MANY_RUNS = 8;

export interface RawTargetOptions {
  handle: FileHandle;
  path: string;
  calls: Syscalls;
  /** No byte may lie past this. */
  limitBytes: number;
  /** Zero blocks are left out, because the target reads as zeros or will be cleared; false writes every byte. */
  skipZeros: boolean;
  /** What was there before is still there: the rest of a block written in part is zeroed with it. */
  stale: boolean;
  /** An earlier process began this disk, and wrote what only the disk itself can tell. Default false. */
  isBegun?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Owns the descriptor. After the first failed write or sync it refuses everything but close(): the kernel tells an error
 * of writeback once, so another sync on the same descriptor would call lost bytes safe.
 */
export class RawTarget {
  readonly handle: FileHandle;
  readonly #options: RawTargetOptions;
  readonly #window: WritebackWindow;
  readonly #written = new BlockMap();
  #skipZeros: boolean;
  #broken: unknown;
  #turns: Promise<unknown> = Promise.resolve();
  #direct: Promise<DirectWrites | undefined> | undefined;
  #gathered: Buffer | undefined;
  #gatheredOffset = 0;
  #gatheredBytes = 0;
  #inFlight: Promise<void> = Promise.resolve();
  /** Bytes really written, holes left out. */
  writtenBytes = 0;
  /** End of the furthest range written or zeroed. */
  endBytes = 0;

  constructor(options: RawTargetOptions) {
    this.#options = options;
    this.handle = options.handle;
    this.#skipZeros = options.skipZeros;
    this.#window = new WritebackWindow(options.handle.fd, options.calls);
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /** Calls are run one after another; the buffer is the caller's again once this resolves. @throws Fault */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      this.#admit(offset, bytes.length);
      const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (source.length < STRAIGHT_BYTES) return this.#gather(offset, source);
      await this.#settleGathered();
      await this.#place(offset, source);
    });
  }

  /** The range reads as zeros afterwards (a stale target: after clearUnwritten). @throws Fault */
  zero(offset: number, length: number): Promise<void> {
    return this.#inTurn(async () => {
      this.#admit(offset, length);
      await this.#settle();
      const end = offset + length;
      const blocks = this.#written.runs(Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES), true);
      for (const { start, end: stop } of blocks) {
        await this.#zeroWritten(Math.max(offset, start * BLOCK_BYTES), Math.min(end, stop * BLOCK_BYTES));
      }
    });
  }

  /** Fills the buffer with what was written there; what was not reads as zeros, whatever lies there. @throws Fault */
  read(offset: number, into: Buffer): Promise<void> {
    return this.#inTurn(async () => {
      await this.#settle();
      if (this.#options.isBegun) return await this.#guard("read", () => readFully(this.handle, into, offset));
      into.fill(0);
      const end = offset + into.length;
      const blocks = this.#written.runs(Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES), true);
      for (const { start, end: stop } of blocks) {
        const from = Math.max(offset, start * BLOCK_BYTES);
        const part = into.subarray(from - offset, Math.min(end, stop * BLOCK_BYTES) - offset);
        await this.#guard("read", () => readFully(this.handle, part, from));
      }
    });
  }

  /** Everything handed over is with the kernel when this resolves. @throws Fault */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#settle());
  }

  /** Counts a range as written, which an outside writer fills. */
  countAsWritten(offset: number, length: number): void {
    this.#written.mark(Math.floor(offset / BLOCK_BYTES), Math.ceil((offset + length) / BLOCK_BYTES));
  }

  /** Writes zeros to every block below `endBytes` that was not written: preallocation where fallocate does not serve. */
  fillUnwritten(endBytes: number): Promise<void> {
    return this.#eachUnwritten(endBytes, async (start, end) => {
      await this.#writeZeros(start, end);
      this.#written.mark(Math.floor(start / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES));
    });
  }

  /** Reads every block below `endBytes` that was not written, and zeroes those that are not zero. @throws Fault */
  clearUnwritten(endBytes: number): Promise<void> {
    const seen = Buffer.allocUnsafeSlow(MIB);
    return this.#eachUnwritten(endBytes, async (start, end) => {
      const bytes = seen.subarray(0, end - start);
      await this.#guard("read", async () => {
        await readFully(this.handle, bytes, start);
        await this.#options.calls.dropCache(this.handle.fd, start, bytes.length);
      });
      if (isZero(bytes)) return;
      for (const run of dataRuns(bytes, start, () => false)) await this.#writeZeros(start + run.start, start + run.end);
    });
  }

  /** Everything handed over so far is on the disk when this resolves. Writes go on meanwhile. @throws Fault */
  async sync(): Promise<void> {
    await this.flush();
    await this.#guard("fdatasync", () => this.handle.datasync());
  }

  /** Runs a step on the descriptor; its failure is final for this target. @throws Fault */
  step(name: string, act: () => Promise<void>): Promise<void> {
    return this.#inTurn(() => this.#guard(name, act));
  }

  /** Everything handed over is with the kernel, and the descriptor is its owner's again. @throws Fault */
  async leave(): Promise<void> {
    await this.flush();
    const direct = await this.#direct;
    this.#direct = Promise.resolve(undefined);
    await direct?.close();
  }

  /** Waits for what is under way and closes. The first error of a write is not told again. */
  async close(): Promise<void> {
    await this.#turns;
    await this.#inFlight;
    const direct = await this.#direct;
    await direct?.close();
    await this.handle.close();
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      this.#refuseBroken();
      return act();
    };
    const turn = this.#turns.then(run);
    // A failed turn is its caller's to report; the next one has to run all the same.
    this.#turns = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  #refuseBroken(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  #admit(offset: number, length: number): void {
    const end = offset + length;
    if (end > this.#options.limitBytes) throw tooSmall(end, this.#options.limitBytes);
    this.endBytes = Math.max(this.endBytes, end);
  }

  async #guard(name: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (cause) {
      this.#broken ??= targetFault(cause, `${name} ${this.#options.path}`);
      throw this.#broken;
    }
  }

  async #gather(offset: number, bytes: Buffer): Promise<void> {
    for (let taken = 0; taken < bytes.length;) {
      const at = offset + taken;
      if (this.#gatheredBytes > 0 && at !== this.#gatheredOffset + this.#gatheredBytes) await this.#swap();
      if (this.#gatheredBytes === 0) this.#gatheredOffset = at;
      // An odd start makes a short buffer, so that the next one begins at a block.
      const roomBytes = MIB - (this.#gatheredOffset % BLOCK_BYTES) - this.#gatheredBytes;
      this.#gathered ??= largeBuffer();
      const copied = bytes.copy(this.#gathered, this.#gatheredBytes, taken, Math.min(bytes.length, taken + roomBytes));
      this.#gatheredBytes += copied;
      taken += copied;
      if (copied === roomBytes) await this.#swap();
    }
  }

  /** Sends the gathered bytes on their way, and goes on gathering in the other buffer. */
  async #swap(): Promise<void> {
    await this.#landed();
    if (!this.#gathered) return;
    const bytes = handOn(this.#gathered, this.#gatheredBytes);
    this.#inFlight = this.#place(this.#gatheredOffset, bytes)
      .catch((cause: unknown) => {
        this.#broken ??= cause;
      })
      .finally(() => giveBack(bytes));
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
  }

  async #landed(): Promise<void> {
    await this.#inFlight;
    this.#refuseBroken();
  }

  async #settleGathered(): Promise<void> {
    if (this.#gatheredBytes > 0) await this.#swap();
    await this.#landed();
  }

  async #settle(): Promise<void> {
    await this.#settleGathered();
    await this.#drainDirect();
  }

  async #drainDirect(): Promise<void> {
    const direct = await this.#direct;
    if (direct) await this.#guard("write", () => direct.drain());
  }

  async #place(offset: number, bytes: Buffer): Promise<void> {
    const runs = this.#runsOf(offset, bytes);
    for (const { start, end } of runs) {
      const from = offset + start;
      const to = offset + end;
      // What is on its way to the same blocks goes first.
      if (this.#isWrittenWithin(from, to)) await this.#drainDirect();
      if (this.#options.stale) await this.#zeroEdges(from, to);
      if (runs.length > MANY_RUNS) await this.#writeOut(from, bytes.subarray(start, end), true);
      else await this.#writeRun(from, bytes.subarray(start, end));
      this.countAsWritten(from, to - from);
    }
  }

  #isWrittenWithin(from: number, to: number): boolean {
    const [first, end] = [Math.floor(from / BLOCK_BYTES), Math.ceil(to / BLOCK_BYTES)];
    return this.#written.runs(first, end, true).next().done !== true;
  }

  /** Whole pages go past the page cache where that can be, the rest through it. */
  async #writeRun(offset: number, bytes: Buffer): Promise<void> {
    if (bytes.length >= STRAIGHT_BYTES) this.#direct ??= this.#openDirect();
    const direct = await this.#direct;
    const middle = direct?.middleOf(offset, bytes);
    if (!direct || !middle) return this.#writeOut(offset, bytes);
    const { start, end } = middle;
    let isTaken = false;
    await this.#guard("write", async () => {
      isTaken = await direct.take(offset + start, bytes.subarray(start, end));
    });
    if (!isTaken) return this.#writeOut(offset, bytes);
    this.writtenBytes += end - start;
    if (start > 0) await this.#writeOut(offset, bytes.subarray(0, start));
    if (end < bytes.length) await this.#writeOut(offset + end, bytes.subarray(end));
  }

  async #openDirect(): Promise<DirectWrites | undefined> {
    const { handle, path, calls } = this.#options;
    return directWrites(handle, path, calls, async (offset, bytes) => {
      this.writtenBytes -= bytes.length;
      await this.#writeOut(offset, bytes);
    });
  }

  #runsOf(offset: number, bytes: Buffer): { start: number; end: number }[] {
    if (!this.#skipZeros) return [{ start: 0, end: bytes.length }];
    if (isZero(bytes) && !this.#isWrittenWithin(offset, offset + bytes.length)) return [];
    return dataRuns(bytes, offset, (block) => this.#written.has(block));
  }

  /** Zeroes what a first write leaves of its outer blocks: clearUnwritten goes by whole blocks. */
  async #zeroEdges(from: number, to: number): Promise<void> {
    const head = Math.floor(from / BLOCK_BYTES);
    const tail = Math.floor(to / BLOCK_BYTES);
    const tailEnd = Math.min((tail + 1) * BLOCK_BYTES, this.#options.limitBytes);
    if (from > head * BLOCK_BYTES && !this.#written.has(head)) await this.#writeZeros(head * BLOCK_BYTES, from);
    if (to % BLOCK_BYTES > 0 && to < tailEnd && !this.#written.has(tail)) await this.#writeZeros(to, tailEnd);
  }

  /** Zeroes a range that was written: whole blocks are punched where that works and is wanted, the rest is overwritten. */
  async #zeroWritten(from: number, to: number): Promise<void> {
    const first = Math.ceil(from / BLOCK_BYTES);
    const last = Math.floor(to / BLOCK_BYTES);
    if (!this.#skipZeros || this.#options.stale || last <= first) return this.#writeZeros(from, to);
    const start = first * BLOCK_BYTES;
    const end = last * BLOCK_BYTES;
    try {
      await this.#options.calls.allocate(this.handle.fd, "punch", start, end - start);
    } catch (cause) {
      if (!isUnsupported(cause)) await this.#guard("punch", () => Promise.reject(cause));
      return this.#writeZeros(from, to);
    }
    this.#written.mark(first, last, false);
    await this.#writeZeros(from, start);
    await this.#writeZeros(end, to);
  }

  async #writeZeros(from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += MIB) await this.#writeOut(at, zeroMiB.subarray(0, Math.min(MIB, to - at)));
  }

  async #writeOut(offset: number, bytes: Buffer, onThisThread = false): Promise<void> {
    await this.#guard("write", async () => {
      for (let done = 0; done < bytes.length;) {
        const length = bytes.length - done;
        if (onThisThread) done += writeSync(this.handle.fd, bytes, done, length, offset + done);
        else done += (await this.handle.write(bytes, done, length, offset + done)).bytesWritten;
      }
      this.writtenBytes += bytes.length;
      await this.#window.note(offset, bytes.length);
    });
  }

  #eachUnwritten(endBytes: number, act: (start: number, end: number) => Promise<void>): Promise<void> {
    return this.#inTurn(async () => {
      await this.#settle();
      for (const { start, end } of this.#written.runs(0, Math.ceil(endBytes / BLOCK_BYTES), false)) {
        const stop = Math.min(end * BLOCK_BYTES, endBytes);
        for (let at = start * BLOCK_BYTES; at < stop; at += MIB) {
          this.#options.signal?.throwIfAborted();
          await act(at, Math.min(stop, at + MIB));
        }
      }
    });
  }
}

async function readFully(handle: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Error(`the target ends at byte ${offset + done}`);
    done += bytesRead;
  }
}
