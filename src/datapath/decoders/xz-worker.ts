// One xz tool of several that decode a file's blocks side by side: it is given files of one block each, one behind the other,
// and what comes out is told apart by the sizes the blocks say.
import { giveBack, handOn, largeBuffer } from "../../lib/buffers.ts";
import { isZero, zeroMiB } from "../sinks/zero-blocks.ts";
import type { ToolResult } from "../child.ts";
import type { Bell } from "./bell.ts";
import { startPiped } from "./tool.ts";

/** A block on its way, or the rest of a file. */
export interface Job {
  /** Decoded and not yet handed on. */
  readonly pieces: Buffer[];
  /** Decoded bytes still to come; Infinity for as many as there are. */
  leftBytes: number;
  /** All of them. */
  readonly sizeBytes: number;
  isOver: boolean;
  /** Whether its last byte was given to the tool. */
  isGiven: boolean;
  /** How much work it is, against other jobs. */
  readonly cost: number;
  readonly worker: XzWorker;
}

/** What the workers of a file share. */
export interface Shared {
  readonly bell: Bell;
  /** The job whose bytes are wanted next. */
  isNext(job: Job): boolean;
  /** Bytes given to tools that did not take them yet. */
  inputBytes: number;
  /** Decoded bytes that wait, but for zeros: those are kept once. */
  aheadBytes: number;
  readonly mostAheadBytes: number;
}

/**
 * The tool takes its input by the full buffer and gives its output so, until the input ends; 8 KiB in xz 5.4. Zeros between two
 * files push the first one through; what a file leaves of an output buffer only the input's end does.
 */
const bufferBytes = 256 * 1024;
const push = Buffer.alloc(bufferBytes);

type PipedTool = NonNullable<ReturnType<typeof startPiped>>;

export class XzWorker {
  readonly #shared: Shared;
  readonly #tool: PipedTool;
  readonly #jobs: Job[] = [];
  readonly #pumping: Promise<void>;
  /** Whether it was given anything. */
  hasWorked = false;
  /** Its input has ended: it takes no more jobs. */
  isRetired = false;
  #isBroken = false;
  #isClosed = false;

  private constructor(shared: Shared, tool: PipedTool) {
    this.#shared = shared;
    this.#tool = tool;
    // Its input failing says less than its exit status does.
    tool.child.stdin?.on("error", () => (this.#isBroken = true));
    this.#pumping = this.#pump();
    // Told again by `finished`.
    this.#pumping.catch(() => undefined);
  }

  /** @returns undefined where a tool cannot have a pipe of ours */
  static start(shared: Shared, ...how: Parameters<typeof startPiped>): XzWorker | undefined {
    const tool = startPiped(...how);
    return tool && new XzWorker(shared, tool);
  }

  /** Of the jobs it has; 0 for none. */
  get cost(): number {
    return this.#jobs.reduce((sum, job) => sum + job.cost, 0);
  }

  add(job: Job): void {
    this.hasWorked = true;
    this.#jobs.push(job);
    this.#shared.bell.ring();
  }

  /** The bytes have to stay as they are. */
  write(bytes: Buffer): void {
    const { stdin } = this.#tool.child;
    if (this.#isBroken || !stdin) return;
    this.#shared.inputBytes += bytes.length;
    stdin.write(bytes, () => {
      this.#shared.inputBytes -= bytes.length;
      this.#shared.bell.ring();
    });
  }

  /** Behind the last byte of a job. */
  endJob(job: Job): void {
    job.isGiven = true;
    if (job.sizeBytes % bufferBytes === 0) this.write(push);
    else this.end();
    this.#shared.bell.ring();
  }

  end(): void {
    this.isRetired = true;
    this.#tool.child.stdin?.end();
  }

  /** When its output is read and it has ended. @throws what kept it from starting or being read */
  async finished(): Promise<ToolResult> {
    const result = await this.#tool.child.done;
    this.#isClosed = true;
    this.#shared.bell.ring();
    await this.#pumping;
    return result;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#tool.child.stop();
    this.#shared.bell.ring();
    // Both were told of by the verdict, or nobody wants to know any more.
    await this.#tool.child.done.catch(() => undefined);
    this.#tool.reader.close();
    await this.#pumping.catch(() => undefined);
  }

  async #pump(): Promise<void> {
    const { bell } = this.#shared;
    for (;;) {
      const job = this.#jobs[0];
      if (job && this.#mayRead(job)) await this.#read(job);
      else if (this.#isClosed) return;
      else await bell.heard();
    }
  }

  /** The next job always: all others wait for it. */
  #mayRead(job: Job): boolean {
    const { aheadBytes, mostAheadBytes } = this.#shared;
    if (job.isOver) return false;
    return aheadBytes < mostAheadBytes || (this.#shared.isNext(job) && job.pieces.length === 0);
  }

  async #read(job: Job): Promise<void> {
    const whole = largeBuffer();
    const wanted = Math.min(whole.length, job.leftBytes);
    const got = await this.#tool.reader.read(whole.subarray(0, wanted));
    job.leftBytes -= got;
    const part = handOn(whole, got);
    // What waits may be much, and most of a disk is zeros.
    const isAhead = !this.#shared.isNext(job) && got > 0;
    if (got === 0 || (isAhead && isZero(part))) {
      giveBack(part);
      if (got > 0) job.pieces.push(zeroMiB.subarray(0, got));
    } else {
      job.pieces.push(part);
      this.#shared.aheadBytes += got;
    }
    job.isOver = got < wanted || job.leftBytes === 0;
    // With a cut job nothing more comes for those behind it: they end as soon as they are looked at.
    if (job.isOver) this.#jobs.shift();
    this.#shared.bell.ring();
  }
}

/** To be said of each piece that is handed on. */
export function handedOn(shared: Shared, piece: Buffer): void {
  if (piece.buffer !== zeroMiB.buffer) shared.aheadBytes -= piece.length;
}
