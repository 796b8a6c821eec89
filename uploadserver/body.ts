// The bytes of an upload on their way into the data path: gathered into large pieces, fed by one request or by several in a row.
import { Readable } from "node:stream";
import { landsAsSent } from "../src/datapath/index.ts";
import { collectNowAndThen } from "../src/lib/collect-young.ts";
import { seconds } from "../src/lib/duration.ts";
import { Fault } from "../src/lib/faults.ts";

/** The runtime hands over 16 KiB at a time; a piece of this size costs the steps behind a thirtieth of that. */
const pieceBytes = 512 * 1024;
/** Every magic lies within. */
const headBytes = 64 * 1024;
/** Held ready ahead of the data path, so that the network runs on while the disk is busy. */
const readAheadBytes = 2 * pieceBytes;
/** A client that sends nothing for so long is gone, whatever its connection says. */
const silenceMs = seconds(600);

const gone = (what: string): Fault => new Fault("UploadBroken", what);

export class UploadBody extends Readable {
  /** Bytes taken so far, those that wait in a piece too. */
  takenBytes = 0;
  /** The first bytes, copied: enough to know the format by. */
  #head: Buffer = Buffer.alloc(0);
  #piece: Buffer | undefined;
  #filled = 0;
  #isWanted = true;
  #resume: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: readAheadBytes });
  }

  /**
   * Takes all the bytes of a request (or of a part of one). What came is handed on even when the client breaks off.
   * @param mostBytes the request may not hold more
   * @throws Fault UploadBroken when the client breaks off or falls silent; what ended the data path when that ended
   */
  async takeFrom(from: Readable, mostBytes = Infinity): Promise<void> {
    let left = mostBytes;
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
          this.#gather(chunk);
          if (this.#isWanted) return;
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
        if (this.#isWanted) from.resume();
        else from.pause();
      });
    } finally {
      this.#flush();
    }
  }

  /** What comes is a disk byte for byte, as far as its head says; false until there is enough of it. */
  get isPlainDisk(): boolean {
    return this.#head.length >= headBytes && landsAsSent(this.#head);
  }

  /** No more bytes come. */
  finish(): void {
    this.#flush();
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    this.#isWanted = true;
    this.#resume?.();
  }

  #gather(chunk: Buffer): void {
    this.takenBytes += chunk.length;
    collectNowAndThen(chunk.length);
    if (this.#head.length < headBytes) {
      this.#head = Buffer.concat([this.#head, chunk.subarray(0, headBytes - this.#head.length)]);
    }
    for (let at = 0; at < chunk.length;) {
      this.#piece ??= newPiece();
      const copied = chunk.copy(this.#piece, this.#filled, at);
      this.#filled += copied;
      at += copied;
      if (this.#filled === this.#piece.length) this.#flush();
    }
  }

  #flush(): void {
    if (this.#filled === 0 || !this.#piece || this.destroyed) return;
    // What is left of a piece serves the next ones: a chunked client's short ends cost no half a MiB each.
    const piece = this.#piece.subarray(0, this.#filled);
    this.#piece = this.#piece.length - this.#filled >= pieceBytes / 2 ? this.#piece.subarray(this.#filled) : undefined;
    this.#filled = 0;
    if (!this.push(piece)) this.#isWanted = false;
  }
}

/** It is garbage soon after, and counted as such: else it is what makes V8 look through the whole heap. */
function newPiece(): Buffer {
  collectNowAndThen(pieceBytes);
  return Buffer.allocUnsafeSlow(pieceBytes);
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
