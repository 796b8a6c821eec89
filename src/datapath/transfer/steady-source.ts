// The one layer that tries again: a source whose streams go on where the one below broke off. It knows the offset, and it goes
// on only where the bytes are proven to be the same ones.
import type { Readable } from "node:stream";
import { systemClock, type Clock } from "../../lib/clock.ts";
import { Fault } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import { pulledStream } from "../pulled.ts";
import type { Progress, Source, SourceFacts } from "../types.ts";
import { pauseAfter } from "./patience.ts";
import { stallWatch, type StallWatch } from "./stall-watch.ts";

export interface SteadyOptions {
  /** A checksum is compared in the end: bytes without a validator may be joined, for a wrong joint shows. */
  readonly provesEnd: boolean;
  readonly progress: Progress;
  readonly log: Log;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Time without a byte after which a stream that can be resumed is, ms. Default 60 s. */
  readonly stallMs?: number;
}

export interface SteadySource extends Source {
  /** Bytes were joined for which only the checksum can vouch. */
  readonly hasGuessed: boolean;
}

/** Thrown where a stream broke off and nothing says that the rest would be of the same file: only all of it anew helps. */
export class CannotResume extends Error {
  override readonly cause: Fault;
  constructor(cause: Fault) {
    super(cause.message, { cause });
    this.name = "CannotResume";
    this.cause = cause;
  }
}

/** New bytes in a row that make up for the failures before them: less could go on for ever. */
const forgivenBytes = 64 * 1024;

/** Streams and reads of the source, tried again as long as patience.ts says. @throws also CannotResume */
export function steadySource(source: Source, options: SteadyOptions): SteadySource {
  return new Steady(source, options);
}

class Steady implements SteadySource {
  readonly name: string;
  readonly localPath?: string;
  readonly identity?: string;
  readonly isSentOn?: boolean;
  readonly read?: NonNullable<Source["read"]>;
  hasGuessed = false;
  readonly #source: Source;
  readonly #options: SteadyOptions;
  readonly #clock: Clock;
  #deliveredBytes = 0;

  constructor(source: Source, options: SteadyOptions) {
    this.#source = source;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.name = source.name;
    if (source.localPath !== undefined) this.localPath = source.localPath;
    if (source.identity !== undefined) this.identity = source.identity;
    if (source.isSentOn !== undefined) this.isSentOn = source.isSentOn;
    if (source.read) {
      const readOnce = source.read.bind(source);
      this.read = (offset, into, signal) => this.#trying(() => readOnce(offset, into, signal), offset, signal);
    }
  }

  /** Some sources know it only once they were asked. */
  get path(): string {
    return this.#source.path;
  }

  facts(signal: AbortSignal): Promise<SourceFacts> {
    return this.#trying(() => this.#source.facts(signal), 0, signal);
  }

  open(offset: number, signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted();
    const closing = new AbortController();
    const stop = AbortSignal.any([signal, closing.signal]);
    return Promise.resolve(
      pulledStream(this.#bytes(offset, signal, stop), {
        // A pause or a connect under way ends at once, and so does a stream that says nothing.
        release: () => Promise.resolve(closing.abort(new Error("the stream was closed"))),
      }),
    );
  }

  forget(): void {
    this.hasGuessed = false;
    this.#source.forget?.();
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async *#bytes(offset: number, signal: AbortSignal, stop: AbortSignal): AsyncGenerator<Buffer> {
    let at = offset;
    let goodTo = offset;
    let failures = 0;
    for (;;) {
      try {
        const facts = await this.#source.facts(stop);
        const body = await this.#source.open(at, stop);
        const watch = this.#watch(body, facts);
        const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
        try {
          for (;;) {
            watch?.wait();
            const { value } = await chunks.next();
            watch?.rest();
            if (value === undefined) break;
            at += value.length;
            this.#deliveredBytes += value.length;
            yield value;
          }
        } finally {
          watch?.end();
          await chunks.return?.();
        }
        if (facts.sizeBytes === undefined || at >= facts.sizeBytes) return;
        throw new Fault("SourceCut", `${this.name} ended at byte ${at} of ${facts.sizeBytes}`);
      } catch (cause) {
        if (signal.aborted) throw signal.reason;
        if (at - goodTo >= forgivenBytes) failures = 0;
        goodTo = at;
        failures += 1;
        await this.#pause(cause, failures, at, stop);
        await this.#refuseGuess(cause, at, stop);
      }
    }
  }

  /** One that is silent for too long is cut off, where it can be resumed. */
  #watch(body: Readable, { validator }: SourceFacts): StallWatch | undefined {
    const { provesEnd, stallMs = 60_000 } = this.#options;
    return validator === undefined && !provesEnd ? undefined : stallWatch(body, this.name, stallMs, this.#clock);
  }

  async #trying<T>(act: () => Promise<T>, offset: number, signal: AbortSignal): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await act();
      } catch (cause) {
        if (signal.aborted) throw signal.reason;
        await this.#pause(cause, failures, offset, signal);
      }
    }
  }

  /** @throws the cause itself, when it is not worth another try */
  async #pause(cause: unknown, failures: number, offset: number, signal: AbortSignal): Promise<void> {
    const deliveredBytes = this.#deliveredBytes;
    const pauseMs = cause instanceof Fault ? pauseAfter(cause, { failures, deliveredBytes }) : undefined;
    if (pauseMs === undefined) throw cause;
    const { log, progress } = this.#options;
    log.warn("Trying the source again", { resumesFrom: offset, pauseMs, failures, error: cause });
    progress.retries += 1;
    await this.#clock.sleep(pauseMs, signal);
  }

  /** Lets a stream go on only where a validator, or the checksum in the end, speaks for the rest. */
  async #refuseGuess(cause: unknown, at: number, signal: AbortSignal): Promise<void> {
    if (at === 0 || !(cause instanceof Fault)) return;
    this.#options.progress.resumedFromBytes = at;
    const { validator } = await this.#source.facts(signal);
    if (validator !== undefined) return;
    if (!this.#options.provesEnd) throw new CannotResume(cause);
    this.hasGuessed = true;
  }
}
