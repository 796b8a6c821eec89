// The bytes of one answer as a Readable: counted against the announced length, paused when the reader is slow, cut off from
// the network when it is destroyed.
import { Readable } from "node:stream";
import { collectNowAndThen } from "./collect-young.ts";
import { Fault } from "./faults.ts";

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
  /** Bytes not handed on from the front. */
  readonly dropBytes: number;
}

/** Bytes held ready ahead of the reader, so that the network runs on while the reader is busy. */
const readAheadBytes = 1024 * 1024;

/**
 * Fails with a Fault, or with the signal's reason; never ends early in silence. A failure waits until all bytes before it
 * were read: nothing that arrived is lost, and an answer that nobody reads yet is no unhandled error.
 */
export class HttpBody extends Readable {
  /** Bytes the server announced for this body; undefined when it did not. */
  readonly announcedBytes: number | undefined;
  /** Bytes that came in so far. */
  receivedBytes = 0;
  readonly #flow: Flow;
  readonly #where: string;
  #dropBytes: number;
  #isOver = false;
  #isAsked = false;
  #failure: Error | undefined;

  constructor(flow: Flow, plan: BodyPlan) {
    super({ highWaterMark: readAheadBytes });
    this.#flow = flow;
    this.#where = plan.where;
    this.#dropBytes = plan.dropBytes;
    this.announcedBytes = plan.announcedBytes;
  }

  /** True once it is certain that reading to the end will fail. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** For the exchange: a chunk came. @returns false when the connection should pause */
  receive(chunk: Buffer): boolean {
    this.receivedBytes += chunk.length;
    collectNowAndThen(chunk.length);
    const dropped = Math.min(this.#dropBytes, chunk.length);
    this.#dropBytes -= dropped;
    return dropped === chunk.length || this.push(dropped > 0 ? chunk.subarray(dropped) : chunk);
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
    this.push(null);
  }

  /** For the exchange: the connection failed. */
  fail(cause: Error): void {
    this.#isOver = true;
    this.#failure ??= cause;
    this.#settle();
  }

  /** For the exchange: the reader's signal was aborted. What is read ahead is dropped. */
  stop(reason: Error): void {
    if (this.listenerCount("error") > 0) return void this.destroy(reason);
    this.#endExchange(reason);
    this.fail(reason);
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#settle();
    return chunk;
  }

  override _read(): void {
    this.#isAsked = true;
    if (!this.#isOver) this.#flow.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#endExchange(error ?? new Error("the rest of the answer is not wanted"));
    done(error);
  }

  #settle(): void {
    if (this.#failure && this.#isAsked && this.readableLength === 0) this.destroy(this.#failure);
  }

  #endExchange(reason: Error): void {
    const wasOver = this.#isOver;
    this.#isOver = true;
    if (!wasOver) this.#flow.abort(reason);
  }
}
