// The bytes of one answer as a Readable: counted against the announced length, paused when the reader is slow, cut off from
// the network when it is destroyed. They are handed on by the large buffer where they come fast.
import { Readable } from "node:stream";
import { giveBack, handOn, largeBytes } from "./buffers.ts";
import { Fault } from "./faults.ts";
import { GatheredParts, smallBytes } from "./gathered-parts.ts";

/** What the body does to the connection behind it. */
export interface Flow {
  resume(): void;
  /** Ends the exchange; nothing more arrives. */
  abort(reason: Error): void;
}

export interface BodyPlan {
  /** Shown form of the URL. */
  readonly where: string;
  /** Undefined when the server did not say. */
  readonly announcedBytes: number | undefined;
  /** Where in the file the body begins. */
  readonly firstByte?: number;
  /** Bytes not handed on from the front. */
  readonly dropBytes: number;
}

/** Bytes held ready ahead of the reader, so that the network runs on while the reader is busy. */
const readAheadBytes = 2 * largeBytes;

/**
 * Fails with a Fault, or with the signal's reason; never ends early in silence. A failure waits until all bytes before it
 * were read: nothing that arrived is lost, and an answer that nobody reads yet is no unhandled error.
 */
export class HttpBody extends Readable {
  /** Bytes the server announced for this body; undefined when it did not. */
  readonly announcedBytes: number | undefined;
  /** Bytes that came in so far. */
  receivedBytes = 0;
  readonly #firstByte: number;
  readonly #flow: Flow;
  readonly #where: string;
  #dropBytes: number;
  #isOver = false;
  #isAsked = false;
  #failure: Error | undefined;
  readonly #parts = new GatheredParts();
  #isPaused = false;

  constructor(flow: Flow, plan: BodyPlan) {
    // One part at a time: of several the stream would make a copy.
    super({ highWaterMark: 1 });
    this.#flow = flow;
    this.#where = plan.where;
    this.#firstByte = plan.firstByte ?? 0;
    this.#dropBytes = plan.dropBytes;
    this.announcedBytes = plan.announcedBytes;
  }

  /** Where in the file the next byte belongs that comes in. */
  get position(): number {
    return this.#firstByte + this.receivedBytes;
  }

  /** True once it is certain that reading to the end will fail. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** For the exchange: a chunk came; its memory is the exchange's again. @returns false when the connection should pause */
  receive(chunk: Buffer): boolean {
    this.#parts.add(this.#count(chunk));
    return this.#offer();
  }

  /** For the exchange: a large buffer was filled from `start` up to `end`, and is the body's now. @returns as receive does */
  receiveLarge(whole: Buffer, end: number, start = 0): boolean {
    const part = handOn(whole, end, start);
    if (part.length < smallBytes || this.#dropBytes > 0) {
      const goesOn = this.receive(part);
      giveBack(part);
      return goesOn;
    }
    this.#count(part);
    this.#parts.addWhole(part);
    return this.#offer();
  }

  /** For the exchange: the answer is complete. */
  finish(): void {
    const { announcedBytes, receivedBytes } = this;
    if (announcedBytes !== undefined && receivedBytes !== announcedBytes) {
      const code = receivedBytes < announcedBytes ? "SourceCut" : "SourceSizeUnknown";
      const text = `${this.#where} sent ${receivedBytes} bytes where it announced ${announcedBytes}`;
      return this.fail(new Fault(code, text));
    }
    if (this.#dropBytes > 0) return this.fail(new Fault("SourceChanged", `${this.#where} is shorter than before`));
    this.#isOver = true;
    this.#offer();
  }

  /** For the exchange: the connection failed. */
  fail(cause: Error): void {
    this.#isOver = true;
    this.#failure ??= cause;
    this.#offer();
  }

  /** For the exchange: the reader's signal was aborted. What is read ahead is dropped. */
  stop(reason: Error): void {
    if (this.listenerCount("error") > 0) return void this.destroy(reason);
    this.#endExchange(reason);
    this.fail(reason);
  }

  override _read(): void {
    this.#isAsked = true;
    // Not within the call: the bytes would be joined to those that are just being read.
    process.nextTick(() => this.#offer());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#endExchange(error ?? new Error("the rest of the answer is not wanted"));
    this.#parts.drop();
    done(error);
  }

  /** @returns what is left of the chunk behind the bytes that are dropped */
  #count(chunk: Buffer): Buffer {
    this.receivedBytes += chunk.length;
    const dropped = Math.min(this.#dropBytes, chunk.length);
    this.#dropBytes -= dropped;
    return dropped > 0 ? chunk.subarray(dropped) : chunk;
  }

  /** A reader that waits gets what there is. */
  #takeGathered(): Buffer | undefined {
    this.#parts.close();
    return this.#parts.take();
  }

  /** Hands the reader what it asked for, if it is there. @returns false when the connection should pause */
  #offer(): boolean {
    if (this.destroyed) return false;
    if (this.#isAsked) this.#handOn();
    this.#isPaused = this.#parts.bytes >= readAheadBytes;
    return !this.#isPaused;
  }

  #handOn(): void {
    const part = this.#parts.take() ?? this.#takeGathered();
    if (part) {
      this.#isAsked = false;
      this.push(part);
      if (this.#isPaused && !this.#isOver) this.#flow.resume();
    } else if (this.#failure) this.destroy(this.#failure);
    else if (this.#isOver) this.push(null);
    else this.#flow.resume();
  }

  #endExchange(reason: Error): void {
    const wasOver = this.#isOver;
    this.#isOver = true;
    if (!wasOver) this.#flow.abort(reason);
  }
}
