// xz by several xz tools of one thread each: every block that says its sizes is a job for one of them, and their bytes are handed
// on in the file's order. Needs less memory than `xz -T0`, which keeps each block's bytes, zeros too, until it is through
// (docs/adr/0031).
import { Writable, type Readable } from "node:stream";
import type { Fault } from "../../lib/faults.ts";
import { MIB } from "../sinks/zero-blocks.ts";
import { makeBell } from "./bell.ts";
import { corrupt, decodedStream } from "./decoded.ts";
import type { DecodeResume } from "./point.ts";
import { complaintOf } from "./tool.ts";
import { XzBlocks, type XzPart } from "./xz-blocks.ts";
import { handedOn, XzWorker, type Job, type Shared } from "./xz-worker.ts";

/** Compressed bytes that tools may be given ahead. */
const mostInputBytes = 12 * MIB;
const mostAheadBytes = 32 * MIB;
/** What the tools' dictionaries may take together; blocks that want more go to fewer tools. */
const mostDictionaryBytes = 48 * MIB;
const mostWorkers = 4;

export interface XzTool {
  readonly path: string;
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  /** How many of them may run, 2 or more. */
  readonly processors: number;
}

/** @throws PointUnusable @returns undefined where it cannot be done here */
export function decodeInParallel(input: Readable, tool: XzTool, resume?: DecodeResume): Readable | undefined {
  const crew = XzCrew.start(tool, resume);
  if (!crew) return undefined;
  return decodedStream(input, {
    writable: crew.writable,
    readable: crew.bytes(),
    pass: (chunk) => crew.split(chunk),
    verdict: () => crew.verdict(),
    release: () => crew.close(),
  });
}

const unexpectedEnd = (): Fault => corrupt("xz", "Unexpected end of input");

class XzCrew {
  readonly writable: Writable;
  readonly #tool: XzTool;
  readonly #blocks: XzBlocks;
  readonly #bell = makeBell();
  readonly #workers: XzWorker[] = [];
  /** Not yet handed on, in the file's order. */
  readonly #jobs: Job[] = [];
  readonly #shared: Shared = {
    bell: this.#bell,
    isNext: (job) => job === this.#jobs[0],
    inputBytes: 0,
    aheadBytes: 0,
    mostAheadBytes,
  };
  /** Of chunks on their way to be written. */
  readonly #parts: XzPart[][] = [];
  /** The job whose bytes come in. */
  #current: Job | undefined;
  #isFed = false;
  #isRest = false;
  #isWrong = false;
  /** The job with which the bytes ended: it gave fewer than it said, or is the rest. */
  #short: Job | undefined;
  #isClosed = false;

  private constructor(tool: XzTool, resume?: DecodeResume) {
    this.#tool = tool;
    this.#blocks = new XzBlocks(resume);
    this.writable = new Writable({
      highWaterMark: 1,
      // Destroyed then means given up.
      autoDestroy: false,
      write: (_chunk, _encoding, done) => void this.#give().then(() => done(), done),
      final: (done) => {
        this.#isFed = true;
        for (const worker of this.#workers) worker.end();
        this.#bell.ring();
        done();
      },
      destroy: (error, done) => {
        this.#bell.ring();
        done(error);
      },
    });
  }

  static start(tool: XzTool, resume?: DecodeResume): XzCrew | undefined {
    const crew = new XzCrew(tool, resume);
    return crew.#hire() && crew;
  }

  /** @throws PointUnusable */
  split(chunk: Buffer): readonly Buffer[] {
    this.#parts.push(this.#blocks.split(chunk));
    return [chunk];
  }

  async *bytes(): AsyncGenerator<Buffer> {
    while (!this.#isClosed && !this.writable.destroyed) {
      const [job] = this.#jobs;
      const piece = job?.pieces.shift();
      if (piece) {
        handedOn(this.#shared, piece);
        this.#bell.ring();
        yield piece;
      } else if (job?.isOver && job.leftBytes > 0) {
        this.#short = job;
        return;
      } else if (job?.isOver && (job.isGiven || this.#isFed)) {
        this.#jobs.shift();
        const complaint = await this.#dismiss(job.worker);
        if (complaint) {
          this.#short = job;
          return;
        }
        this.#bell.ring();
      } else if (!job && this.#isFed) {
        return;
      } else await this.#bell.heard();
    }
  }

  /** @returns what is wrong with the bytes */
  async verdict(): Promise<Fault | undefined> {
    const complaint = await this.#complaint();
    // Nobody takes what is still to be written.
    if (complaint) this.writable.destroy();
    return complaint;
  }

  async #complaint(): Promise<Fault | undefined> {
    const short = this.#short;
    // Others may still have much to say, and nobody listens.
    const ofShort = short && (await this.#complaintOf(short.worker));
    if (ofShort) return ofShort;
    if (short && short.leftBytes < Infinity) return unexpectedEnd();
    if (this.#isWrong) return corrupt("xz", "Compressed data is corrupt");
    if (!short && !this.#blocks.isAtEnd) return unexpectedEnd();
    // A tool that was given nothing would find fault with that.
    const busy = this.#workers.filter((worker) => worker.hasWorked);
    const all = await Promise.all(busy.map((worker) => this.#complaintOf(worker)));
    return all.find(Boolean);
  }

  async #complaintOf(worker: XzWorker): Promise<Fault | undefined> {
    return complaintOf("xz", this.#tool.path, await worker.finished());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#bell.ring();
    this.writable.destroy();
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }

  /** @returns what a tool that has done its last job found */
  async #dismiss(worker: XzWorker): Promise<Fault | undefined> {
    // Its other jobs may be done as well, and wait here for their turn.
    if (!worker.isRetired || this.#jobs.some((job) => job.worker === worker)) return undefined;
    const complaint = await this.#complaintOf(worker);
    if (complaint) return complaint;
    await worker.close();
    this.#workers.splice(this.#workers.indexOf(worker), 1);
    return undefined;
  }

  async #give(): Promise<void> {
    for (const part of this.#parts.shift() ?? []) await this.#take(part);
    while (this.#shared.inputBytes > mostInputBytes && !this.#isClosed && !this.writable.destroyed) {
      await this.#bell.heard();
    }
  }

  async #take(part: XzPart): Promise<void> {
    if (part.kind === "wrongIndex") {
      this.#isWrong = true;
      return;
    }
    if (part.kind === "block") {
      const { uncompressed, unpadded } = part.sizes;
      // Most of the work is where the compressed bytes are.
      await this.#begin(uncompressed, unpadded + uncompressed / 32, Math.min(part.dictionaryBytes, uncompressed));
    }
    if (part.kind === "rest" && !this.#isRest) {
      this.#isRest = true;
      await this.#begin(Infinity, Infinity, Infinity);
    }
    const { worker } = this.#current ?? {};
    // The chunk goes back to whoever fills it next.
    worker?.write(part.kind === "data" || part.kind === "rest" ? Buffer.from(part.bytes) : part.bytes);
    if (part.kind === "blockEnd" && this.#current) worker?.endJob(this.#current);
  }

  async #begin(sizeBytes: number, cost: number, dictionaryBytes: number): Promise<void> {
    const most = Math.max(1, Math.min(mostWorkers, this.#tool.processors, mostDictionaryBytes / dictionaryBytes));
    let worker = this.#leastBusy(Math.floor(most));
    while (!worker && !this.#isClosed && !this.writable.destroyed) {
      await this.#bell.heard();
      worker = this.#leastBusy(Math.floor(most));
    }
    if (!worker) return;
    this.#current = { pieces: [], leftBytes: sizeBytes, sizeBytes, isOver: false, isGiven: false, cost, worker };
    this.#jobs.push(this.#current);
    worker.add(this.#current);
  }

  /** @returns undefined while as many as may be are at their last job */
  #leastBusy(most: number): XzWorker | undefined {
    const working = this.#workers.filter((worker) => !worker.isRetired);
    const [best] = working.slice(0, most).sort((one, other) => one.cost - other.cost);
    if (best?.cost === 0) return best;
    return this.#workers.length < most ? this.#hire() : best;
  }

  #hire(): XzWorker | undefined {
    const { path, args, signal } = this.#tool;
    const worker = XzWorker.start(this.#shared, path, args, signal);
    if (worker) this.#workers.push(worker);
    return worker;
  }
}
