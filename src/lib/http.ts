// The one door to undici: GET with our own redirects, proxies, trust and limits, whose failures are Faults.
import { STATUS_CODES } from "node:http";
import { Agent, type Dispatcher } from "undici";
import { addressPolicy, type AddressPolicy } from "./address-policy.ts";
import { Fault } from "./faults.ts";
import { HttpBody } from "./http-body.ts";
import { basicOfUrl, Connections, proxyAuthorization, userAgent } from "./http-connect.ts";
import { exchangeFault, statusFault } from "./http-faults.ts";
import type { Hosts } from "./http-hosts.ts";
import { leastTakenBytes, socketBeingParsed, takeBody, type OwnSocket, type TakenBody } from "./http-own-reads.ts";
import { proxyFor, type ProxySettings } from "./http-proxy.ts";
import { firstHop, isRedirect, nextHop, type Hop } from "./http-redirect.ts";
import { minutes, seconds } from "./duration.ts";
import { shownUrl } from "./secret.ts";

export { addressPolicy, type AddressPolicy } from "./address-policy.ts";
export { basicAuth } from "./http-connect.ts";
export { hostsFrom, type Hosts } from "./http-hosts.ts";
export { proxySettingsFrom, type ProxySettings } from "./http-proxy.ts";
export { HttpBody } from "./http-body.ts";

export type Header = readonly [name: string, value: string];

export interface HttpOptions {
  /** PEM certificates trusted beside the system's. Default none. */
  readonly ca?: readonly string[];
  /** Accept any certificate. Default false. */
  readonly insecure?: boolean;
  /** Default none. */
  readonly proxy?: ProxySettings;
  /** Limit for look-up, connect, CONNECT and TLS together, ms. Default 30 s. */
  readonly connectTimeoutMs?: number;
  /** Time from the request to its status line, ms. Default 5 min: some servers open a tape first. */
  readonly headersTimeoutMs?: number;
  /** Time without a byte while the reader wants some, ms. Default 10 min, upstream's. */
  readonly idleMs?: number;
  /** Asked before the system's resolver. */
  readonly hosts?: Hosts | undefined;
  /** Which addresses may be connected to. Default: as outside a pod. */
  readonly addresses?: AddressPolicy | undefined;
}

export interface GetOptions {
  readonly signal: AbortSignal;
  /** Credentials and custom headers: dropped when a redirect leaves the origin. */
  readonly privateHeaders?: readonly Header[];
  /** Value of Accept; goes wherever redirects lead. */
  readonly accept?: string;
  /** Value of Range, such as "bytes=0-". */
  readonly range?: string;
  /** Value of If-Range. */
  readonly ifRange?: string;
  /** Bytes to drop from the front when the answer is 200: the whole file where a part was asked for. */
  readonly dropBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** The server's reason phrase, else the registered one. */
  readonly statusText: string;
  /** Lower-case names; repeated headers joined with ", ". */
  readonly headers: Readonly<Record<string, string>>;
  /** Read it to the end or destroy it; its errors are Faults or the signal's reason. */
  readonly body: HttpBody;
  /** After redirects. May hold secrets: show it with shownUrl only. */
  readonly url: string;
  readonly redirects: number;
  /** False when private headers were held back from the last hop. */
  readonly keptPrivate: boolean;
}

export interface HttpClient {
  /**
   * Any status is an answer, a redirect is followed. Aborting the signal ends the body too.
   * @throws Fault for all that kept an answer away, or the signal's reason
   */
  get(url: string, options: GetOptions): Promise<HttpAnswer>;
  /** Ends every exchange and closes every socket. Never throws. */
  close(): Promise<void>;
}

/** @throws Fault ConfigInvalid when a proxy setting is unusable (at the first get that would use it) */
export function httpClient(options: HttpOptions = {}): HttpClient {
  const proxy = options.proxy ?? {};
  const proxies = new Set<string>();
  const connections = new Connections({
    ca: options.ca ?? [],
    insecure: options.insecure ?? false,
    connectTimeoutMs: options.connectTimeoutMs ?? seconds(30),
    hosts: options.hosts,
    addresses: options.addresses ?? addressPolicy({ inPod: false }),
    // A proxy's own origin is reached directly; plain http travels to it as an ordinary request.
    tunnelFor: (origin) =>
      origin.protocol === "https:" && !proxies.has(origin.origin) ? proxyFor(origin, proxy) : undefined,
  });
  const idleMs = options.idleMs ?? minutes(10);
  const agent = new Agent({
    connect: ({ protocol, hostname, port }, done) =>
      connections.connect(originOf(protocol, hostname, port), done as never),
    headersTimeout: options.headersTimeoutMs ?? minutes(5),
    bodyTimeout: idleMs,
  });

  const ask = (hop: Hop, wanted: GetOptions): Promise<HttpAnswer> => {
    const via = hop.url.protocol === "http:" ? proxyFor(hop.url, proxy) : undefined;
    if (via) proxies.add(via.origin);
    const request = requestFor(hop, wanted, via);
    return exchange({ agent, connections, idleMs }, request, hop, wanted);
  };

  return {
    async get(url, wanted) {
      const parsed = URL.parse(url);
      if (!parsed || !["http:", "https:"].includes(parsed.protocol)) {
        throw new Fault("ConfigInvalid", `${shownUrl(url)} is not an http or https URL`);
      }
      parsed.hash = "";
      let hop = firstHop(parsed);
      for (;;) {
        const answer = await ask(hop, wanted);
        const { location } = answer.headers;
        if (!isRedirect(answer.status, location)) return answer;
        answer.body.destroy();
        hop = nextHop(hop, location);
      }
    },
    async close() {
      // From the outside in: TLS inside TLS does not notice the end of the socket below it.
      const ended = agent.destroy(new Error("the HTTP client was closed"));
      connections.destroy();
      await ended;
    },
  };
}

/** undici hands an IPv6 address over without its brackets. */
function originOf(protocol: string, hostname: string, port: string): URL {
  const host = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  return new URL(`${protocol}//${host}${port ? `:${port}` : ""}`);
}

/** Throws the fault of a status that is not wanted, after letting go of its body. */
export function expectStatus(answer: HttpAnswer, wanted: readonly number[]): void {
  if (wanted.includes(answer.status)) return;
  answer.body.destroy();
  throw statusFault(answer);
}

function requestFor(hop: Hop, wanted: GetOptions, via: URL | undefined): Dispatcher.DispatchOptions {
  const { url } = hop;
  const custom = hop.keepsPrivate ? (wanted.privateHeaders ?? []) : [];
  const named = (name: string): boolean => custom.some(([given]) => given.toLowerCase() === name);
  const headers: Header[] = [["accept-encoding", "identity"]];
  if (!named("user-agent")) headers.push(["user-agent", userAgent]);
  if (url.username && !named("authorization")) headers.push(["authorization", basicOfUrl(url)]);
  if (wanted.accept !== undefined) headers.push(["accept", wanted.accept]);
  if (wanted.range !== undefined) headers.push(["range", wanted.range]);
  if (wanted.ifRange !== undefined) headers.push(["if-range", wanted.ifRange]);
  headers.push(...custom);
  if (!via) return { origin: url.origin, path: url.pathname + url.search, method: "GET", headers: headers.flat() };
  if (!named("host")) headers.push(["host", url.host]);
  headers.push(...Object.entries(proxyAuthorization(via)));
  // RFC 9112 3.2.2: to a proxy the target is written whole.
  const path = `${url.origin}${url.pathname}${url.search}`;
  return { origin: via.origin, path, method: "GET", headers: headers.flat() };
}

interface Means {
  readonly agent: Agent;
  readonly connections: Connections;
  readonly idleMs: number;
}

/** One request and its answer's head; the body goes on by itself. */
function exchange(
  { agent, connections, idleMs }: Means,
  request: Dispatcher.DispatchOptions,
  hop: Hop,
  { signal, dropBytes = 0 }: GetOptions,
): Promise<HttpAnswer> {
  const where = shownUrl(hop.url.href);
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let body: HttpBody | undefined;
    /** Of a body that is to be taken from its socket: how long it is, and what it is once it is taken. */
    let takenBytes: number | undefined;
    let taken: TakenBody | undefined;
    let isWhole = false;
    const leave = (): void => signal.removeEventListener("abort", onAbort);
    const onAbort = (): void => {
      leave();
      const reason = signal.reason as Error;
      if (body) return body.stop(reason);
      controller?.abort(reason);
      reject(reason);
    };
    if (signal.aborted) return reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort);
    const failed = (error: unknown): void => {
      leave();
      if (isWhole) return;
      taken?.settle();
      const receivedBytes = body?.receivedBytes ?? 0;
      const answered = body !== undefined;
      const fault = exchangeFault(error, { where, answered, receivedBytes, announcedBytes: body?.announcedBytes });
      if (body) return body.fail(fault);
      reject(fault);
    };
    const take = (
      started: Dispatcher.DispatchController,
      made: HttpBody,
      socket: OwnSocket,
      leftBytes: number,
    ): void => {
      if (socket.destroyed || made.destroyed) return;
      taken = takeBody(socket, {
        body: made,
        leftBytes,
        idleMs,
        // As the parser's own watch would say.
        onIdle: () => started.abort(Object.assign(new Error("Body Timeout Error"), { code: "UND_ERR_BODY_TIMEOUT" })),
        onWhole() {
          isWhole = true;
          made.finish();
          // The parser still waits for what it will not see.
          started.abort(new Error("the answer was read past the parser"));
        },
      });
    };
    agent.dispatch(request, {
      onRequestStart(started) {
        controller = started;
        if (signal.aborted) started.abort(signal.reason as Error);
      },
      onResponseStart(started, status, rawHeaders, statusMessage) {
        if (status < 200) return;
        const headers = joined(rawHeaders);
        const flow = {
          resume: () => (takenBytes === undefined ? started.resume() : taken?.readOn()),
          abort: (reason: Error) => started.abort(reason),
        };
        const made = new HttpBody(flow, {
          where,
          announcedBytes: announcedBytes(status, headers),
          firstByte: (status === 206 && contentRange(headers["content-range"])?.first) || 0,
          dropBytes: status === 200 ? dropBytes : 0,
        });
        body = made;
        const framedBytes = framedLength(headers);
        if ((status === 200 || status === 206) && framedBytes >= leastTakenBytes) takenBytes = framedBytes;
        made.once("close", leave);
        resolve({
          status,
          statusText: statusMessage || STATUS_CODES[status] || "",
          headers,
          body: made,
          url: hop.url.href,
          redirects: hop.visited.length,
          keptPrivate: hop.keepsPrivate,
        });
      },
      onResponseData(started, chunk) {
        const made = body;
        if (!made) return;
        const goesOn = made.receive(chunk);
        const socket = takenBytes === undefined ? undefined : socketBeingParsed();
        const leftBytes = (takenBytes ?? 0) - made.receivedBytes;
        // An end that came along is the parser's to tell.
        if (!socket || leftBytes < leastTakenBytes / 2) takenBytes = undefined;
        else queueMicrotask(() => take(started, made, socket, leftBytes));
        if (!goesOn || takenBytes !== undefined) started.pause();
      },
      onResponseEnd() {
        // Without a length only the connection's end ends the body, and a reset is no end.
        if (connections.failing && body?.announcedBytes === undefined) return failed(new Error("it was reset"));
        body?.finish();
      },
      onResponseError: (_, error) => failed(error),
    });
  });
}

/** @returns how many bytes the body has on the wire; 0 where that is not told */
const framedLength = (headers: Readonly<Record<string, string>>): number =>
  headers["transfer-encoding"] === undefined && /^\d+$/.test(headers["content-length"] ?? "")
    ? Number(headers["content-length"])
    : 0;

function joined(raw: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const rows = Object.entries(raw).map(([name, value]) => [name.toLowerCase(), [value ?? ""].flat().join(", ")]);
  return Object.fromEntries(rows) as Record<string, string>;
}

/** A part's own bounds, else the framing's length. Where both are told and differ, the body is found out at its end. */
function announcedBytes(status: number, headers: Readonly<Record<string, string>>): number | undefined {
  const part = status === 206 ? contentRange(headers["content-range"]) : undefined;
  if (part) return part.last - part.first + 1;
  const length = headers["content-length"];
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

/** The bounds in a Content-Range header; `total` is undefined for "*". */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
  readonly total: number | undefined;
}
/** @returns undefined for a text that is no range, or one of no bytes, past its own total, or past all exact numbers */
export function contentRange(text: string | undefined): ContentRange | undefined {
  const match = /^bytes\s+(\d+)-(\d+)\/(\d+|\*)$/i.exec(text?.trim() ?? "");
  if (!match) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  const total = match[3] === "*" ? undefined : Number(match[3]);
  if (last < first || last >= (total ?? Infinity) || !Number.isSafeInteger(total ?? last)) return undefined;
  return { first, last, total };
}
