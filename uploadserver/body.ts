// The bytes of an upload on their way into the data path: gathered into large buffers, fed by one request or by several in a row.
import { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { landsAsSent } from "../src/datapath/index.ts";
import { largeBytes } from "../src/lib/buffers.ts";
import { collectNowAndThen } from "../src/lib/collect-young.ts";
import { seconds } from "../src/lib/duration.ts";
import { Fault } from "../src/lib/faults.ts";
import { GatheredParts } from "../src/lib/gathered-parts.ts";
import { takeRequestBody } from "../src/lib/request-own-reads.ts";

/** Every magic lies within. */
const headBytes = 64 * 1024;
/** Held ready ahead of the data path, so that the network runs on while the disk is busy. */
const readAheadBytes = 2 * largeBytes;
/** A client that sends nothing for so long is gone, whatever its connection says. */
const silenceMs = seconds(600);

const gone = (what: string): Fault => new Fault("UploadBroken", what);

export class UploadBody extends Readable {
  /** Bytes taken so far, those that wait here too. */
  takenBytes = 0;
  /** The first bytes, copied: enough to know the format by. */
  #head: Buffer = Buffer.alloc(0);
  readonly #parts = new GatheredParts();
  #isAsked = false;
  #isFinished = false;
  #resume: (() => void) | undefined;

  constructor() {
    // One part at a time: of several the stream would make a copy.
    super({ highWaterMark: 1 });
  }

  /**
   * Takes all the bytes of a request (or of a part of one). What came is handed on even when the client breaks off.
   * @param mostBytes the request may not hold more
   * @throws Fault UploadBroken when the client breaks off or falls silent; what ended the data path when that ended
   */
  async takeFrom(from: Readable, mostBytes = Infinity): Promise<void> {
    let left = mostBytes;
    const isTaken = from instanceof IncomingMessage && takeRequestBody(from);
    try {
      await new Promise<void>((resolve, reject) => {
        const silence = watchSilence(() => reject(gone(`the client sent nothing for ${silenceMs / 1000} s`)));
        const end = (act: () => void) => () => {
          silence.end();
          this.#resume = undefined;
          from.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose);
          this.off("close", onOver);
          from.on("error", () => undefined); // told already
          act();
        };
        const onEnd = end(resolve);
        const onClose = end(() => reject(gone(`the client broke off after ${this.takenBytes} bytes`)));
        const onError = (cause: Error): void =>
          end(() =>
            reject(cause instanceof Fault ? cause : gone(`the client broke off after ${this.takenBytes} bytes`)),
          )();
        const onOver = end(() => reject(this.errored ?? new Error("the data path has ended")));
        const onData = (chunk: Buffer): void => {
          silence.heard();
          if (chunk.length > left) {
            return end(() => reject(new Fault("UploadBroken", "the request holds more bytes than were announced")))();
          }
          left -= chunk.length;
          if (!isTaken) collectNowAndThen(chunk.length);
          this.#gather(chunk);
          if (this.#hasRoom) return;
          silence.rest();
          from.pause();
        };
        this.#resume = () => {
          silence.heard();
          from.resume();
        };
        if (this.destroyed) return onOver();
        if (from.destroyed && !from.readableEnded) return onClose();
        this.once("close", onOver);
        from.on("end", onEnd).on("error", onError).on("close", onClose).on("data", onData);
        if (this.#hasRoom) from.resume();
        else from.pause();
      });
    } finally {
      // What came is not kept waiting for what may never come.
      this.#parts.close();
      this.#offer();
    }
  }

  /** What comes is a disk byte for byte, as far as its head says; false until there is enough of it. */
  get isPlainDisk(): boolean {
    return this.#head.length >= headBytes && landsAsSent(this.#head);
  }

  /** No more bytes come. */
  finish(): void {
    this.#parts.close();
    this.#isFinished = true;
    this.#offer();
  }

  override _read(): void {
    this.#isAsked = true;
    // Not within the call: the bytes would be joined to those that are just being read.
    process.nextTick(() => this.#offer());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#parts.drop();
    done(error);
  }

  get #hasRoom(): boolean {
    return this.#parts.bytes < readAheadBytes;
  }

  #gather(chunk: Buffer): void {
    this.takenBytes += chunk.length;
    if (this.#head.length < headBytes) {
      this.#head = Buffer.concat([this.#head, chunk.subarray(0, headBytes - this.#head.length)]);
    }
    if (this.#parts.add(chunk)) this.#offer();
  }

  /** Hands the reader what it asked for, if it is there. */
  #offer(): void {
    if (!this.#isAsked || this.destroyed) return;
    const part = this.#parts.take();
    if (part) {
      this.#isAsked = false;
      this.push(part);
    } else if (this.#isFinished) {
      this.#isAsked = false;
      this.push(null);
    }
    if (this.#hasRoom) this.#resume?.();
  }
}

interface Silence {
  heard(): void;
  /** Nothing is awaited for now. */
  rest(): void;
  end(): void;
}

/** One timer looks now and then, rather than one being set for each chunk. */
function watchSilence(onSilent: () => void): Silence {
  let waitingSince: number | undefined = Date.now();
  const timer = setInterval(() => {
    if (waitingSince !== undefined && Date.now() - waitingSince > silenceMs) onSilent();
  }, silenceMs / 20);
  timer.unref();
  return {
    heard: () => (waitingSince = Date.now()),
    rest: () => (waitingSince = undefined),
    end: () => clearInterval(timer),
  };
}
