// A bounded stretch of a file that several requests fill at once, handed on in the file's order.
import { giveBack, handOn, largeBuffer } from "../../lib/buffers.ts";
import type { Source } from "../types.ts";
import { fewestStreams, segmentBytes, windowBytes } from "./window-plan.ts";

export interface RangeWindowOptions {
  readonly read: NonNullable<Source["read"]>;
  /** Where the window begins, and the file ends; bytes. */
  readonly from: number;
  readonly end: number;
  readonly signal: AbortSignal;
}

interface Segment {
  readonly offset: number;
  readonly length: number;
  readonly memory: Buffer;
  readonly stop: AbortController;
  /** Resolves in any case. */
  done: Promise<void>;
  isHere: boolean;
  cause?: unknown;
}

export class RangeWindow {
  readonly #options: RangeWindowOptions;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  /** In the file's order, without gaps. */
  #segments: Segment[] = [];
  #askedTo: number;
  #active = 0;
  #streams = fewestStreams;
  #hasFailed = false;
  /** Offset of the next byte handed on. */
  position: number;

  constructor(options: RangeWindowOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal]);
    this.position = options.from;
    this.#askedTo = options.from;
    this.#ask();
  }

  /** Requests at a time. */
  get streams(): number {
    return this.#streams;
  }
  set streams(count: number) {
    this.#streams = count;
    this.#ask();
  }

  /**
   * Bytes at `position`; undefined at the end. A failed part fails once it is due, and with what it failed.
   * @param stop ends the waiting, not the window
   */
  async next(stop: AbortSignal): Promise<Buffer | undefined> {
    const [segment] = this.#segments;
    if (!segment) return undefined;
    if (!segment.isHere) await unless(stop, segment.done);
    stop.throwIfAborted();
    if (!segment.isHere) throw segment.cause;
    const from = this.position - segment.offset;
    const { memory, length } = segment;
    this.position = segment.offset + length;
    this.#segments.shift();
    this.#ask();
    return from === 0 ? handOn(memory, length) : memory.subarray(from, length);
  }

  /** Goes on further behind. @returns false where the offset is not ahead, or further than the window reaches */
  skipTo(offset: number): boolean {
    if (offset <= this.position || offset >= this.#askedTo) return false;
    while (this.#segments[0] && this.#segments[0].offset + this.#segments[0].length <= offset) this.#drop();
    this.position = offset;
    this.#ask();
    return true;
  }

  /** Ends every request; what came is dropped. */
  close(): void {
    this.#closing.abort(new Error("the window was closed"));
    this.#segments = [];
  }

  #drop(): void {
    const segment = this.#segments.shift();
    if (!segment) return;
    // A request under way may still touch its memory: that is the collector's.
    if (segment.isHere) giveBack(handOn(segment.memory, segment.length));
    else segment.stop.abort(new Error("the part is not wanted any more"));
  }

  #ask(): void {
    const { end } = this.#options;
    const most = windowBytes / segmentBytes;
    while (this.#active < this.#streams && this.#segments.length < most && this.#askedTo < end) {
      if (this.#hasFailed || this.#signal.aborted) return;
      this.#start(this.#askedTo, Math.min(segmentBytes, end - this.#askedTo));
    }
  }

  #start(offset: number, length: number): void {
    const memory = largeBuffer();
    const stop = new AbortController();
    const segment: Segment = { offset, length, memory, stop, done: Promise.resolve(), isHere: false };
    const signal = AbortSignal.any([this.#signal, stop.signal]);
    this.#active += 1;
    segment.done = this.#options
      .read(offset, memory.subarray(0, length), signal)
      .then(
        () => void (segment.isHere = true),
        (cause: unknown) => {
          segment.cause = cause;
          // Nothing more is asked of a source that failed, until the reader has heard of it.
          if (!stop.signal.aborted) this.#hasFailed = true;
        },
      )
      .finally(() => {
        this.#active -= 1;
        this.#ask();
      });
    this.#segments.push(segment);
    this.#askedTo += length;
  }
}

/** Waits for the promise, or for the signal, whichever comes first. */
async function unless(stop: AbortSignal, done: Promise<void>): Promise<void> {
  let leave = (): void => undefined;
  const stopped = new Promise<void>((resolve) => {
    leave = resolve;
    if (stop.aborted) resolve();
    stop.addEventListener("abort", leave, { once: true });
  });
  try {
    await Promise.race([done, stopped]);
  } finally {
    stop.removeEventListener("abort", leave);
  }
}
