// A file behind an http or https URL. The first GET asks for "bytes=0-" and tells size and ranges; its body is what
// open(0) hands out, so a plain download is one request. Never HEAD: presigned URLs refuse it.
import { Readable } from "node:stream";
import { giveBack } from "../../src/lib/buffers.ts";
import { Fault } from "../../src/lib/faults.ts";
import {
  type AddressPolicy,
  basicAuth,
  contentRange,
  expectStatus,
  httpClient,
  type GetOptions,
  type Header,
  type Hosts,
  type HttpAnswer,
  type HttpClient,
  type ProxySettings,
} from "../../src/lib/http.ts";
import type { Log } from "../../src/lib/log.ts";
import { shownUrl, type Secret } from "../../src/lib/secret.ts";
import type { Source, SourceFacts } from "../../src/datapath/index.ts";
import { parseHeaders } from "./headers.ts";

export interface HttpSourceSettings {
  readonly url: string;
  /** Basic auth is sent when both are set. */
  readonly username?: Secret | undefined;
  readonly password?: Secret | undefined;
  /** Lines of "Name: value". */
  readonly headers: readonly string[];
  readonly secretHeaders: readonly Secret[];
  /** PEM certificates trusted beside the system's. */
  readonly ca: readonly string[];
  readonly insecure: boolean;
  readonly proxy: ProxySettings;
  readonly hosts?: Hosts | undefined;
  /** Which addresses may be connected to. Default: as outside a pod. */
  readonly addresses?: AddressPolicy | undefined;
  /** Time without a byte, ms. Default 10 min. */
  readonly idleMs?: number;
  /** Ask for no more than so many bytes from the beginning, for looking at the head alone. Default: all. */
  readonly headBytes?: number;
  /** It is a later part that will be wanted: the first request brings next to nothing then. Default false. */
  readonly beginsLater?: boolean;
  /** Of registries: a docker config with credentials, and Go's name of the architecture asked for. */
  readonly registryAuth?: Secret | undefined;
  readonly architecture?: string | undefined;
  readonly log: Log;
}

/** @throws Fault ConfigInvalid for a URL or header that cannot be used */
export function httpSource(settings: HttpSourceSettings): Source {
  return new HttpSource(settings);
}

/** Enough for size, ranges and validator. */
const laterHeadBytes = 4096;

/** Statuses after which an address a redirect gave earlier is asked for anew. */
const stale: readonly number[] = [401, 403, 404, 410];

class HttpSource implements Source {
  readonly name: string;
  readonly path: string;
  readonly identity: string;
  readonly #url: string;
  readonly #client: HttpClient;
  readonly #privateHeaders: readonly Header[];
  readonly #headBytes: number;
  #beginsLater: boolean;
  readonly #log: Log;
  /** Ends every exchange of this source at close. */
  readonly #closing = new AbortController();
  readonly #live = new Set<Readable>();
  #first: Promise<SourceFacts> | undefined;
  /** The first answer while its body is not handed out. */
  #waiting: Exchange | undefined;
  /** Where redirects led, and whether private headers may go there. */
  #pinned: { url: string; keepsPrivate: boolean } | undefined;

  constructor(settings: HttpSourceSettings) {
    const { url, username, password, log, idleMs } = settings;
    this.name = shownUrl(url);
    this.path = decodedPath(url);
    this.identity = identityOf(url, [...settings.headers, ...settings.secretHeaders.map((one) => one.reveal())]);
    this.#url = url;
    this.#headBytes = settings.headBytes ?? Infinity;
    this.#beginsLater = settings.beginsLater ?? false;
    this.#log = log.with({ source: this.name });
    const custom = parseHeaders(settings.headers, settings.secretHeaders, this.#log);
    const hasOwn = custom.some(([name]) => name.toLowerCase() === "authorization");
    const basic: Header[] =
      username && password && !hasOwn ? [["authorization", basicAuth(username.reveal(), password.reveal())]] : [];
    this.#privateHeaders = [...basic, ...custom];
    const { ca, insecure, proxy, hosts, addresses } = settings;
    this.#client = httpClient({ ca, insecure, proxy, hosts, addresses, ...(idleMs === undefined ? {} : { idleMs }) });
  }

  async facts(signal: AbortSignal): Promise<SourceFacts> {
    signal.throwIfAborted();
    this.#first ??= this.#askFirst(signal).catch((cause: unknown) => {
      this.#first = undefined;
      throw cause;
    });
    return this.#first;
  }

  async open(offset: number, signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted();
    const facts = await this.facts(signal);
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      // The server may have hung up while nobody read; then it is asked again.
      if (offset === 0 && !waiting.answer.body.hasFailed) return this.#handOut(waiting, signal);
      // Who begins further behind has no use for it, and it keeps a connection full.
      waiting.answer.body.destroy();
    }
    if (facts.sizeBytes !== undefined && offset === facts.sizeBytes) return Readable.from([]);
    let exchange = await this.#get(signal, wantedFrom(offset, facts));
    if (isOtherPart(exchange.answer, offset)) {
      // Some cap what one request may ask, or know ranges at the beginning only: the whole file, then, up to the offset.
      exchange.answer.body.destroy();
      exchange = await this.#get(signal, wantedFrom(offset, { ...facts, ranges: false }));
    }
    try {
      checkSame(exchange.answer, offset, facts, this.name);
    } catch (cause) {
      exchange.answer.body.destroy();
      throw cause;
    }
    return this.#handOut(exchange, signal);
  }

  async read(offset: number, into: Buffer, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (into.length === 0) return;
    const facts = await this.facts(signal);
    const last = offset + into.length - 1;
    const exchange = await this.#get(signal, { ...wantedFrom(offset, facts), range: `bytes=${offset}-${last}` });
    try {
      checkSame(exchange.answer, offset, facts, this.name, last);
    } catch (cause) {
      exchange.answer.body.destroy();
      throw cause;
    }
    let got = 0;
    for await (const chunk of this.#handOut(exchange, signal) as AsyncIterable<Buffer>) {
      got += chunk.copy(into, got);
      giveBack(chunk);
      // A server without a sense for ranges goes on to the end of the file; leaving the loop hangs up.
      if (got === into.length) break;
    }
    if (got < into.length)
      throw new Fault("SourceCut", `${this.name} sent ${got} of ${into.length} bytes at ${offset}`);
  }

  /** The address redirects led to is kept: going back and forth between mirrors would never end. */
  forget(): void {
    this.#first = undefined;
    this.#waiting?.answer.body.destroy();
    this.#waiting = undefined;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("the source was closed"));
    this.#waiting?.answer.body.destroy();
    for (const body of this.#live) body.destroy();
    await this.#client.close();
  }

  async #askFirst(signal: AbortSignal): Promise<SourceFacts> {
    this.#log.info("Asking the source for its size", {});
    const head = this.#beginsLater ? laterHeadBytes : this.#headBytes;
    let first = await this.#get(signal, { range: head === Infinity ? "bytes=0-" : `bytes=0-${head - 1}` });
    const part = contentRange(first.answer.headers["content-range"]);
    const ranges = part?.first === 0 && part.total !== undefined && part.last + 1 === Math.min(head, part.total);
    // 416: an empty file. A part that is not the whole file: some servers cap what one request
    // may ask, and would end every later part too early.
    if (first.answer.status === 416 || (first.answer.status === 206 && !ranges)) {
      first.answer.body.destroy();
      first = await this.#get(signal, {});
      expectStatus(first.answer, [200]);
    }
    const { answer } = first;
    expectStatus(answer, [200, 206]);
    this.#pinned = { url: answer.url, keepsPrivate: answer.keptPrivate };
    const type = answer.headers["content-type"] ?? "";
    if (type.startsWith("text/")) {
      this.#log.warn(`Unexpected content type '${type}'. Content might not be a KubeVirt image.`);
    }
    if (ranges && this.#beginsLater && (part.total ?? 0) > head) answer.body.destroy();
    else this.#waiting = first;
    // Whoever starts over begins at the beginning.
    this.#beginsLater = false;
    const validator = validatorOf(answer);
    const sizeBytes = ranges ? part.total : answer.body.announcedBytes;
    return {
      ranges,
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(validator === undefined ? {} : { validator }),
    };
  }

  /** Asks where redirects led last time; an address that has expired is resolved once more from the start. */
  async #get(signal: AbortSignal, wanted: Wanted): Promise<Exchange> {
    const pinned = this.#pinned;
    const own = new AbortController();
    const unlink = follow(own, [signal, this.#closing.signal]);
    const get = (url: string, privateHeaders: readonly Header[]): Promise<HttpAnswer> =>
      this.#client.get(url, { ...wanted, privateHeaders, signal: own.signal });
    try {
      if (pinned && pinned.url !== this.#url) {
        const answer = await get(pinned.url, pinned.keepsPrivate ? this.#privateHeaders : []);
        if (!stale.includes(answer.status)) return { answer, own };
        answer.body.destroy();
        this.#log.info("Resolving the redirect again", { status: answer.status });
      }
      const answer = await get(this.#url, this.#privateHeaders);
      if (pinned) this.#pinned = { url: answer.url, keepsPrivate: answer.keptPrivate };
      return { answer, own };
    } finally {
      unlink();
    }
  }

  /** From now on the reader's signal ends the body. */
  #handOut({ answer, own }: Exchange, signal: AbortSignal): Readable {
    const { body } = answer;
    const unlink = follow(own, [signal]);
    this.#live.add(body);
    body.once("close", () => {
      unlink();
      this.#live.delete(body);
    });
    return body;
  }
}

type Wanted = Omit<GetOptions, "signal" | "privateHeaders">;
interface Exchange {
  readonly answer: HttpAnswer;
  readonly own: AbortController;
}

/** Aborts `own` when one of the signals aborts. @returns what takes the listeners off */
function follow(own: AbortController, signals: readonly AbortSignal[]): () => void {
  const leave = signals.map((signal) => {
    const onAbort = (): void => own.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    return () => signal.removeEventListener("abort", onAbort);
  });
  return () => leave.forEach((off) => off());
}

/** A server that does not know ranges, or whose file changed, answers 200: its bytes are dropped up to the offset. */
const wantedFrom = (offset: number, { ranges, validator }: SourceFacts): Wanted => ({
  dropBytes: offset,
  ...(ranges ? { range: `bytes=${offset}-` } : {}),
  ...(ranges && validator !== undefined ? { ifRange: validator } : {}),
});

/** A part that is not the rest of the file from the offset on. */
function isOtherPart({ status, headers }: HttpAnswer, offset: number): boolean {
  if (status !== 206) return false;
  const part = contentRange(headers["content-range"]);
  return !part || part.first !== offset || (part.total !== undefined && part.last !== part.total - 1);
}

/** Every later answer must be of the file the first one was of. */
function checkSame(answer: HttpAnswer, offset: number, facts: SourceFacts, name: string, last?: number): void {
  const changed = (what: string): Fault => new Fault("SourceChanged", `${name} changed while it was read: ${what}`);
  if (answer.status === 416) throw changed(`it no longer reaches byte ${offset}`);
  expectStatus(answer, [200, 206]);
  const part = answer.status === 206 ? contentRange(answer.headers["content-range"]) : undefined;
  if (answer.status === 206 && !(part?.first === offset && (last ?? (part.total ?? 0) - 1) === part.last)) {
    throw new Fault("SourceSizeUnknown", `${name} was asked for bytes from ${offset} on and sent other ones`);
  }
  const total = part ? part.total : answer.body.announcedBytes;
  if (facts.sizeBytes !== undefined && total !== undefined && total !== facts.sizeBytes) {
    throw changed(`its size was ${facts.sizeBytes} bytes and is ${total}`);
  }
  const validator = validatorOf(answer);
  // A part that answers If-Range with a date may leave Last-Modified out (RFC 9110 15.3.7): it would be 200 if changed.
  const isVouched = part !== undefined && validator === undefined && !facts.validator?.startsWith('"');
  if (validator !== facts.validator && !isVouched) {
    throw changed(`its validator was ${facts.validator ?? "absent"} and is ${validator ?? "absent"}`);
  }
}

/** A weak ETag does not promise the same bytes. */
function validatorOf({ headers }: HttpAnswer): string | undefined {
  const etag = headers["etag"]?.trim();
  return etag?.startsWith('"') ? etag : headers["last-modified"];
}

/** Without what is or may be secret, which may also change from one start to the next: values of queries and headers. */
function identityOf(url: string, headerLines: readonly string[]): string {
  const parsed = URL.parse(url);
  const names = headerLines.map((line) => line.replace(/:.*/s, "").trim().toLowerCase());
  return JSON.stringify([parsed?.origin, parsed?.pathname, [...(parsed?.searchParams.keys() ?? [])], names.toSorted()]);
}

function decodedPath(url: string): string {
  const { pathname } = URL.parse(url) ?? { pathname: "" };
  try {
    return decodeURIComponent(pathname);
  } catch (cause) {
    if (cause instanceof URIError) return pathname;
    throw cause;
  }
}
