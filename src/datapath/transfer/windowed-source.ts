// Reads a file that lies far away over several connections at once. One stream is all that is asked for until it has shown that
// the way is long and holds the reader back; nothing here tries twice: a part that breaks is the stream's break.
import type { Readable } from "node:stream";
import { Fault, type FaultCode } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import { pulledStream } from "../pulled.ts";
import type { Source, SourceFacts } from "../types.ts";
import { Pace } from "./pace.ts";
import { RangeWindow } from "./range-window.ts";
import { calmBytesAfter, isFar, isHeldBack, isLong, mostStreams, segmentBytes, stretchBytes } from "./window-plan.ts";

export interface WindowedOptions {
  readonly log: Log;
  /** Only rises, ms. Default: the system's. */
  readonly nowMs?: () => number;
}

/** What any stream may meet; all else that a part fails with is the server's word against parts, or against many. */
const breaks: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "SourceCut",
  "SourceStalled",
  "ConnectionFailed",
  "HostUnknown",
  "TlsFailed",
]);
/** Enough to time an exchange by, bytes. */
const probeBytes = 4096;

/** The same source; `open` may read parts ahead. One that cannot be read in parts, or lies on this machine, is given back. */
export function windowedSource(source: Source, options: WindowedOptions): Source {
  if (!source.read || source.localPath !== undefined) return source;
  return new Windowed(source, source.read.bind(source), options);
}

type Read = NonNullable<Source["read"]>;
type Chunks = AsyncGenerator<Buffer, undefined>;

class Windowed implements Source {
  readonly name: string;
  readonly identity?: string;
  readonly read: Read;
  readonly #source: Source;
  readonly #log: Log;
  readonly #nowMs: () => number;
  #facts: Promise<SourceFacts> | undefined;
  /** The answer that told the facts brings the file from its beginning, if it is wanted. */
  #hasFirst = false;
  /** The shortest exchange so far. */
  #latencyMs = Infinity;
  /** Parts were asked for beside a stream, and came. */
  #isProven = false;
  /** The server does not like it: one stream for good. */
  #isLone = false;
  #breaks = 0;
  /** Of a stream that was closed in the middle: a reader that skips goes on in it. */
  #left: RangeWindow | undefined;

  constructor(source: Source, read: Read, { log, nowMs }: WindowedOptions) {
    this.#source = source;
    this.#log = log;
    this.#nowMs = nowMs ?? (() => performance.now());
    this.name = source.name;
    if (source.identity !== undefined) this.identity = source.identity;
    this.read = (offset, into, signal) =>
      // None is asked for nothing.
      into.length === 0 ? read(offset, into, signal) : this.#timed(() => read(offset, into, signal));
  }

  get path(): string {
    return this.#source.path;
  }

  facts(signal: AbortSignal): Promise<SourceFacts> {
    this.#facts ??= this.#timed(() => this.#source.facts(signal)).then(
      (facts) => {
        this.#hasFirst = true;
        return facts;
      },
      (cause: unknown) => {
        this.#facts = undefined;
        throw cause;
      },
    );
    return this.#facts;
  }

  async open(offset: number, signal: AbortSignal): Promise<Readable> {
    const facts = await this.facts(signal);
    const left = this.#left;
    this.#left = undefined;
    if (left?.skipTo(offset)) return this.#stream((stop) => this.#fromWindow(left, signal, stop));
    if (left?.position === offset) this.#breaks += 1;
    left?.close();
    const isFirst = this.#hasFirst && offset === 0;
    this.#hasFirst = false;
    if (!this.#isWorthMany(facts, offset)) return await this.#source.open(offset, signal);
    if (isFirst || this.#breaks > 0) return this.#stream((stop) => this.#fromStream(offset, facts, signal, stop));
    // Nothing is under way yet: parts from the beginning, so that no stream is left in the middle.
    const window = this.#windowAt(offset, facts.sizeBytes ?? 0, signal);
    if (this.#isProven) window.streams = mostStreams;
    return this.#stream((stop) => this.#fromWindow(window, signal, stop));
  }

  forget(): void {
    this.#facts = undefined;
    this.#leave();
    this.#source.forget?.();
  }

  close(): Promise<void> {
    this.#leave();
    return this.#source.close();
  }

  #leave(): void {
    this.#left?.close();
    this.#left = undefined;
  }

  async #timed<T>(act: () => Promise<T>): Promise<T> {
    const begun = this.#nowMs();
    const got = await act();
    this.#latencyMs = Math.min(this.#latencyMs, this.#nowMs() - begun);
    return got;
  }

  #stream(bytes: (stop: AbortSignal) => Chunks): Readable {
    const closing = new AbortController();
    return pulledStream(bytes(closing.signal), {
      release: () => Promise.resolve(closing.abort(new Error("the stream was closed"))),
    });
  }

  /** Parts need a validator to vouch for them, a long way, and enough that is left. */
  #isWorthMany({ ranges, sizeBytes, validator }: SourceFacts, at: number): boolean {
    if (this.#isLone || !ranges || sizeBytes === undefined || validator === undefined) return false;
    return isFar(this.#latencyMs) && isLong(sizeBytes - at);
  }

  #windowAt(from: number, end: number, signal: AbortSignal): RangeWindow {
    return new RangeWindow({ read: this.read, from, end, signal });
  }

  /** One stream, until a window takes over. */
  async *#fromStream(offset: number, facts: SourceFacts, signal: AbortSignal, stop: AbortSignal): Chunks {
    const over = new AbortController();
    const both = AbortSignal.any([signal, stop, over.signal]);
    const chunks = chunksOf(await this.#source.open(offset, both));
    const pace = new Pace(this.#nowMs);
    let window: RangeWindow | undefined;
    let probing: Promise<void> | undefined;
    let isHeld = false;
    let wants = false;
    let tookOver = false;
    let at = offset;
    try {
      while (!window || at < window.position) {
        const coming = chunks.next();
        // What has arrived is used up first: only what is still on its way is lost with the stream.
        if (wants && !window && (await isDry(coming))) {
          window = this.#windowAt(at + segmentBytes, facts.sizeBytes ?? 0, signal);
          this.#widen(window);
        }
        const { value } = await pace.waitFor(coming);
        if (value === undefined) return;
        const chunk = window ? value.subarray(0, window.position - at) : value;
        at += chunk.length;
        yield chunk;
        if (window) continue;
        pace.count(chunk.length);
        const stretch = pace.take(calmBytesAfter(this.#breaks));
        if (stretch) isHeld = isHeldBack(stretch);
        wants = isHeld && this.#isWorthMany(facts, at) && this.#isProven;
        if (isHeld && !wants && this.#isWorthMany(facts, at)) probing ??= this.#probe(at, both);
      }
      tookOver = true;
    } finally {
      over.abort(new Error("the stream has ended"));
      if (!tookOver) window?.close();
      await chunks.return?.();
      await probing;
    }
    yield* this.#fromWindow(window, signal, stop);
  }

  /** Whether the way is long, when nothing else is going on, and whether parts may be had beside a stream. Never rejects. */
  async #probe(at: number, signal: AbortSignal): Promise<void> {
    const into = Buffer.alloc(probeBytes);
    try {
      // The first one may have had to connect.
      for (let time = 0; time < 2; time += 1) await this.read(at, into, signal);
      this.#isProven = true;
    } catch (cause) {
      if (!signal.aborted) this.#stayAlone(cause);
    }
  }

  #stayAlone(cause: unknown): void {
    this.#isLone = true;
    this.#log.info("The source is read over one connection: it did not answer several", { error: cause });
  }

  #widen(window: RangeWindow): void {
    this.#isProven = true;
    window.streams = mostStreams;
    const facts = { from: window.position, streams: mostStreams, latencyMs: this.#latencyMs };
    this.#log.info("Reading the source over several connections", facts);
  }

  async *#fromWindow(window: RangeWindow, signal: AbortSignal, stop: AbortSignal): Chunks {
    const both = AbortSignal.any([signal, stop]);
    const pace = new Pace(this.#nowMs);
    let isOver = false;
    try {
      for (;;) {
        const piece = await pace.waitFor(window.next(both));
        if (!piece) break;
        yield piece;
        pace.count(piece.length);
        const stretch = window.streams < mostStreams ? pace.take(stretchBytes) : undefined;
        if (stretch && isHeldBack(stretch) && isFar(this.#latencyMs)) this.#widen(window);
      }
      isOver = true;
      return;
    } catch (cause) {
      // Closed by its reader: that one may go on further behind.
      if (stop.aborted && !signal.aborted) return;
      isOver = true;
      if (signal.aborted || !(cause instanceof Fault) || cause.code === "SourceChanged") throw cause;
      if (breaks.has(cause.code)) {
        this.#breaks += 1;
        throw cause;
      }
      this.#stayAlone(cause);
    } finally {
      if (isOver || signal.aborted) window.close();
      else this.#left = window;
    }
    const rest = chunksOf(await this.#source.open(window.position, both));
    try {
      for (let next = await rest.next(); next.value; next = await rest.next()) yield next.value;
    } finally {
      await rest.return?.();
    }
  }
}

/** Whether it takes longer than a look at the network. A failure is its reader's to hear of. */
async function isDry(coming: Promise<unknown>): Promise<boolean> {
  const looked = new Promise<boolean>((resolve) => setImmediate(() => setImmediate(() => resolve(true))));
  const came = coming.then(
    () => false,
    () => false,
  );
  return await Promise.race([came, looked]);
}

const chunksOf = (body: Readable): AsyncIterator<Buffer, undefined> =>
  body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
