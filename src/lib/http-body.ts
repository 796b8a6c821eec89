// The bytes of one answer as a Readable: counted against the announced length, paused when the reader is slow, cut off from
// the network when it is destroyed.
import { Readable } from "node:stream";
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

/** Fails with a Fault, or with the signal's reason; never ends early in silence. */
export class HttpBody extends Readable {
  /** Bytes the server announced for this body; undefined when it did not. */
  readonly announcedBytes: number | undefined;
  /** Bytes that came in so far. */
  receivedBytes = 0;
  readonly #flow: Flow;
  readonly #where: string;
  #dropBytes: number;
  #over = false;

  constructor(flow: Flow, plan: BodyPlan) {
    super({ highWaterMark: readAheadBytes });
    this.#flow = flow;
    this.#where = plan.where;
    this.#dropBytes = plan.dropBytes;
    this.announcedBytes = plan.announcedBytes;
  }

  /** For the exchange: a chunk came. @returns false when the connection should pause */
  receive(chunk: Buffer): boolean {
    this.receivedBytes += chunk.length;
    const dropped = Math.min(this.#dropBytes, chunk.length);
    this.#dropBytes -= dropped;
    return dropped === chunk.length || this.push(dropped > 0 ? chunk.subarray(dropped) : chunk);
  }

  /** For the exchange: the answer is complete. */
  finish(): void {
    this.#over = true;
    const { announcedBytes, receivedBytes } = this;
    if (announcedBytes !== undefined && receivedBytes !== announcedBytes) {
      const code = receivedBytes < announcedBytes ? "SourceCut" : "SourceSizeUnknown";
      this.destroy(new Fault(code, `${this.#where} sent ${receivedBytes} bytes of the ${announcedBytes} it announced`));
      return;
    }
    if (this.#dropBytes > 0) {
      this.destroy(new Fault("SourceChanged", `${this.#where} is shorter than before`));
      return;
    }
    this.push(null);
  }

  /** For the exchange: the connection failed. */
  fail(cause: Error): void {
    this.#over = true;
    this.destroy(cause);
  }

  override _read(): void {
    this.#flow.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#over) this.#flow.abort(error ?? new Error("the rest of the answer is not wanted"));
    this.#over = true;
    done(error);
  }
}
