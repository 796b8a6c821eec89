// A real file server on loopback whose faults can be switched while it runs.
//
//   const server = await startHttpServer({ files: { "/disk.img": bytes } });        // closed by itself at the test's end
//   server.url("/disk.img")                      // http://127.0.0.1:port/disk.img, https with tls
//   server.faults = { cutAfterBytes: 1000 };     // from the next request on; { ..., times: 1 } for one request only
//   server.requests                              // what was asked: method, path, headers, body bytes sent
//
// With `tls: true` the certificate is for localhost and 127.0.0.1, signed by a fresh authority in `server.ca`.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { onTestFinished } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { issueCertificate, makeAuthority } from "../../src/pki/index.ts";

export interface HttpFaults {
  /** How many requests these faults hit; later ones go well. Default all. */
  readonly times?: number;
  /** Milliseconds before the status line. */
  readonly delayMs?: number;
  /** Answered instead of the file. */
  readonly status?: number;
  /** False: Range is ignored, always 200 with the whole file. Default true. */
  readonly ranges?: boolean;
  /** A part is never longer than this, whatever was asked. */
  readonly maxPartBytes?: number;
  /** The socket is destroyed after this many body bytes; 0 is right after the head. */
  readonly cutAfterBytes?: number;
  /** The socket is destroyed when the file's byte at this offset is due, whatever part was asked for. */
  readonly cutAtByte?: number;
  /** Added to the bounds that Content-Range tells, and to the bytes that are sent. */
  readonly shiftBytes?: number;
  /** Nothing more is sent after this many body bytes; the socket stays open. */
  readonly stallAfterBytes?: number;
  /** Nothing more is sent when the file's byte at this offset is due, whatever part was asked for. */
  readonly stallAtByte?: number;
  /** Added to the Content-Length that is told; the body stays as it is. */
  readonly lieBytes?: number;
  /** No Content-Length: chunked, or ended by the connection's end. */
  readonly length?: "chunked" | "none";
  readonly bytesPerSecond?: number;
  /** Replaces the ETag; "" sends none. */
  readonly etag?: string;
  /** "" (default) sends none. */
  readonly lastModified?: string;
  /** Headers added to each answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpServerOptions {
  /** Path to body. May be changed while the server runs, through `server.files`. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly tls?: boolean | { readonly certificate: string; readonly key: string };
  /** Basic auth that every request must carry (else 401). */
  readonly auth?: { readonly user: string; readonly password: string };
  /** Headers that every request must carry (else 403). Lower-case names. */
  readonly requiredHeaders?: Readonly<Record<string, string>>;
  /** Path to Location, answered with 302. */
  readonly redirects?: Readonly<Record<string, string>>;
  readonly faults?: HttpFaults;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly status: number;
  bodyBytes: number;
}

export interface HttpTestServer {
  readonly port: number;
  /** PEM of the authority; "" without `tls: true`. */
  readonly ca: string;
  readonly requests: SeenRequest[];
  readonly files: Record<string, Uint8Array>;
  redirects: Record<string, string>;
  faults: HttpFaults;
  /** One for each of the next requests, before `faults` holds again. */
  faultsInTurn: HttpFaults[];
  /** Sockets open now. */
  openSockets(): number;
  /** Resolves when no socket is open any more. */
  idle(): Promise<void>;
  /** @param host as it stands in the URL, default 127.0.0.1 */
  url(path: string, host?: string): string;
  /** Closed at the test's end anyway. */
  close(): Promise<void>;
}

/** Starts the server; call it inside a test (or pass `keep` to close it yourself). */
export async function startHttpServer(options: HttpServerOptions = {}, keep?: "keep"): Promise<HttpTestServer> {
  const authority = options.tls === true ? await ownCertificate() : undefined;
  const pair = options.tls === true ? authority?.pair : options.tls || undefined;
  const sockets = new Set<Socket>();
  let waiters: (() => void)[] = [];
  const answer: RequestListener = (request, response) => {
    serve(server, options, request, response).catch(() => response.destroy());
  };
  const listener: Server = pair
    ? createTlsServer({ cert: pair.certificate, key: pair.key }, answer)
    : createServer(answer);
  listener.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined); // a client that goes away is part of many tests
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size > 0) return;
      waiters.forEach((wake) => wake());
      waiters = [];
    });
  });
  await once(listener.listen(0, options.host ?? "127.0.0.1"), "listening");
  const { port } = listener.address() as AddressInfo;
  const server: HttpTestServer = {
    port,
    ca: authority?.ca ?? "",
    requests: [],
    files: { ...options.files },
    redirects: { ...options.redirects },
    faults: options.faults ?? {},
    faultsInTurn: [],
    openSockets: () => sockets.size,
    idle: () => new Promise((resolve) => (sockets.size === 0 ? resolve() : waiters.push(resolve))),
    url: (path, host = options.host ?? "127.0.0.1") => `${pair ? "https" : "http"}://${host}:${port}${path}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      if (listener.listening) await once(listener.close(), "close");
    },
  };
  if (!keep) onTestFinished(() => server.close());
  return server;
}

async function serve(
  server: HttpTestServer,
  options: HttpServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const faults = takeFaults(server);
  const path = (request.url ?? "/").replace(/\?.*/, "");
  const seen = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, bodyBytes: 0 };
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  if (faults.delayMs) await systemClock.sleep(faults.delayMs, gone.signal);
  const body = server.files[path];
  const status = statusOf(server, options, request, faults, body);
  for (const [name, value] of Object.entries(faults.headers ?? {})) response.setHeader(name, value);
  if (status !== 200 || !body) {
    server.requests.push({ ...seen, status });
    if (status === 302) response.setHeader("location", server.redirects[path] ?? "");
    if (status === 401) response.setHeader("www-authenticate", 'Basic realm="test"');
    response.writeHead(status).end(`status ${status}\n`);
    return;
  }
  const part = partOf(request, body, faults);
  const record: SeenRequest = { ...seen, status: part.status };
  server.requests.push(record);
  writeHead(response, part, body, faults);
  if (part.bytes.length === 0) return void response.end();
  await send(response, part, faults, gone.signal, record);
}

function takeFaults(server: HttpTestServer): HttpFaults {
  const next = server.faultsInTurn.shift();
  if (next) return next;
  const { times, ...rest } = server.faults;
  if (times === undefined) return rest;
  server.faults = times > 1 ? { ...rest, times: times - 1 } : {};
  return rest;
}

function statusOf(
  server: HttpTestServer,
  { auth, requiredHeaders }: HttpServerOptions,
  request: IncomingMessage,
  faults: HttpFaults,
  body: Uint8Array | undefined,
): number {
  const path = (request.url ?? "/").replace(/\?.*/, "");
  if (faults.status) return faults.status;
  if (request.method !== "GET") return 405;
  const basic = auth && `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString("base64")}`;
  if (basic && request.headers.authorization !== basic) return 401;
  if (Object.entries(requiredHeaders ?? {}).some(([name, value]) => request.headers[name] !== value)) return 403;
  if (server.redirects[path] !== undefined) return 302;
  return body ? 200 : 404;
}

interface Part {
  readonly status: number;
  readonly bytes: Uint8Array;
  readonly contentRange?: string;
  /** Of the file. */
  readonly first: number;
}

function partOf(request: IncomingMessage, body: Uint8Array, faults: HttpFaults): Part {
  const wanted = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const condition = request.headers["if-range"];
  const mayPart = condition === undefined || condition === etagOf(body, faults) || condition === faults.lastModified;
  if (!wanted || !mayPart || faults.ranges === false) return { status: 200, bytes: body, first: 0 };
  const first = Number(wanted[1]) + (faults.shiftBytes ?? 0);
  const cap = first + (faults.maxPartBytes ?? Infinity) - 1;
  const last = Math.min(wanted[2] ? Number(wanted[2]) : Infinity, cap, body.length - 1);
  if (first > last) return { status: 416, bytes: new Uint8Array(), contentRange: `bytes */${body.length}`, first };
  const contentRange = `bytes ${first}-${last}/${body.length}`;
  return { status: 206, bytes: body.subarray(first, last + 1), contentRange, first };
}

/** Hashed once for each body: a server that thinks before each answer looks like one far away. */
const etags = new WeakMap<Uint8Array, string>();

function etagOf(body: Uint8Array, faults: HttpFaults): string {
  if (faults.etag !== undefined) return faults.etag;
  const known = etags.get(body) ?? `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  etags.set(body, known);
  return known;
}

function writeHead(response: ServerResponse, part: Part, body: Uint8Array, faults: HttpFaults): void {
  const etag = etagOf(body, faults);
  if (etag) response.setHeader("etag", etag);
  if (faults.lastModified) response.setHeader("last-modified", faults.lastModified);
  if (part.contentRange) response.setHeader("content-range", part.contentRange);
  if (faults.ranges !== false) response.setHeader("accept-ranges", "bytes");
  if (!faults.length) response.setHeader("content-length", part.bytes.length + (faults.lieBytes ?? 0));
  if (faults.length === "none") {
    response.setHeader("connection", "close");
    response.useChunkedEncodingByDefault = false;
  }
  response.writeHead(part.status);
  response.flushHeaders();
}

const pieceBytes = 64 * 1024;

async function send(
  response: ServerResponse,
  { bytes, first }: Part,
  faults: HttpFaults,
  gone: AbortSignal,
  record: SeenRequest,
): Promise<void> {
  const cutBytes = faults.cutAfterBytes ?? Math.max(0, (faults.cutAtByte ?? Infinity) - first);
  const isCut = cutBytes < bytes.length;
  const stallBytes = faults.stallAfterBytes ?? Math.max(0, (faults.stallAtByte ?? Infinity) - first);
  const end = Math.min(cutBytes, stallBytes, bytes.length);
  for (let at = 0; at < end && !gone.aborted;) {
    const piece = bytes.subarray(at, Math.min(end, at + pieceBytes));
    at += piece.length;
    record.bodyBytes = at;
    if (!response.write(piece)) await once(response, "drain", { signal: gone });
    if (faults.bytesPerSecond) await systemClock.sleep((piece.length / faults.bytesPerSecond) * 1000, gone);
  }
  if (stallBytes < Infinity) return;
  if (isCut) {
    // Let the bytes reach the wire first: a destroyed socket drops what it still holds.
    response.write("", () => response.socket?.end(() => response.destroy()));
    return;
  }
  // A body shorter than told: node would wait for the rest, so the connection ends under it.
  if ((faults.lieBytes ?? 0) > 0) return void response.socket?.end();
  response.end();
}

/** A fresh authority and its certificate for localhost, 127.0.0.1 and *.cdi.test, valid for an hour. */
export async function ownCertificate(): Promise<{ ca: string; pair: { certificate: string; key: string } }> {
  const authority = await makeAuthority("test authority", 3_600_000, systemClock);
  const pair = await issueCertificate(authority, {
    commonName: "localhost",
    dnsNames: ["localhost", "*.cdi.test"],
    ips: ["127.0.0.1"],
    usages: ["server"],
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 3_600_000,
  });
  return { ca: authority.certificate, pair };
}

/** Body bytes of all answers so far. */
export const sentBytes = ({ requests }: Pick<HttpTestServer, "requests">): number =>
  requests.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
