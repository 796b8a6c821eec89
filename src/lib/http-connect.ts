// How a socket to an origin comes to be: look-up, connect, CONNECT through a proxy, TLS. Every socket is kept in sight until
// it closes, so that closing the client leaves none behind.
import { lookup as systemLookup, type LookupAddress } from "node:dns";
import { request } from "node:http";
import { isIP, Socket, type LookupFunction, type TcpSocketConnectOpts } from "node:net";
import * as tls from "node:tls";
import { refuseAddress, type AddressPolicy } from "./address-policy.ts";
import { Fault } from "./faults.ts";
import { connectFault } from "./http-faults.ts";
import type { Hosts } from "./http-hosts.ts";
import { ownSocket, ownTlsSocket, tlsSocketOver } from "./http-own-reads.ts";
import { bareHost, portOf } from "./http-proxy.ts";

/** How to connect. */
export interface ConnectSettings {
  /** Trusted PEM certificates beside the system's: authorities, or a server's own certificate. */
  readonly ca: readonly string[];
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** Limit for each of look-up with connect, CONNECT and TLS handshake together, ms. */
  readonly connectTimeoutMs: number;
  readonly hosts?: Hosts | undefined;
  /** Asked for every address that is connected to, a proxy's too. */
  readonly addresses: AddressPolicy;
  /** The proxy an https origin is reached through; undefined for none. */
  tunnelFor(origin: URL): URL | undefined;
}

export type Connected = (error: Error | null, socket: Socket | null) => void;

/** Makes sockets and remembers them. */
export class Connections {
  readonly #settings: ConnectSettings;
  readonly #open = new Set<Socket>();
  #secureContext: tls.SecureContext | undefined;
  #failing = false;

  constructor(settings: ConnectSettings) {
    this.#settings = settings;
  }

  /** True while a socket's error is being handed round: what ends in that moment did not end, it was cut. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Calls back once, with a socket ready for requests to the origin, or a Fault. */
  connect(origin: URL, done: Connected): void {
    this.#reach(origin).then(
      (socket) => done(null, socket),
      (cause: unknown) => done(connectFault(cause, "tcp", origin.origin), null),
    );
  }

  destroy(): void {
    for (const socket of [...this.#open].reverse()) socket.destroy();
  }

  async #reach(origin: URL): Promise<Socket> {
    const limit = new AbortController();
    const { connectTimeoutMs } = this.#settings;
    const timer = setTimeout(() => {
      const text = `connecting to ${origin.origin} took longer than ${connectTimeoutMs / 1000} s`;
      limit.abort(new Fault("ConnectionFailed", text));
    }, connectTimeoutMs);
    try {
      const proxy = this.#settings.tunnelFor(origin);
      if (proxy) return await this.#secure(await this.#tunnel(origin, proxy, limit.signal), origin, limit.signal);
      // Answers are read from the socket itself.
      if (origin.protocol === "http:") return await this.#dial(origin, limit.signal, (to) => ownSocket().connect(to));
      const toTls = (to: TcpSocketConnectOpts): Socket => ownTlsSocket({ ...to, ...this.#tlsOptions(origin) });
      return await secured(await this.#dial(origin, limit.signal, toTls), origin, limit.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #dial(
    origin: URL,
    signal: AbortSignal,
    start = (to: TcpSocketConnectOpts): Socket => new Socket().connect(to),
  ): Promise<Socket> {
    const host = bareHost(origin);
    const port = Number(portOf(origin));
    const refuse = (address: string): void => refuseAddress(this.#settings.addresses, address, port, origin.origin);
    // An address is not looked up.
    if (isIP(host) !== 0) refuse(host);
    const socket = start({ host, port, lookup: lookupIn(this.#settings.hosts, refuse) });
    this.#watch(socket);
    socket.setNoDelay(true).setKeepAlive(true);
    await until(socket, "connect", signal).catch((cause: unknown) => {
      throw connectFault(cause, "tcp", origin.origin);
    });
    return socket;
  }

  async #tunnel(origin: URL, proxy: URL, signal: AbortSignal): Promise<Socket> {
    const plain = await this.#dial(proxy, signal);
    const socket = proxy.protocol === "https:" ? await this.#secure(plain, proxy, signal) : plain;
    const target = `${origin.hostname}:${portOf(origin)}`;
    const asking = request({
      method: "CONNECT",
      path: target,
      createConnection: () => socket,
      headers: { host: target, "user-agent": userAgent, ...proxyAuthorization(proxy) },
      signal,
    });
    const [answer, , head] = await new Promise<[{ statusCode?: number; statusMessage?: string }, Socket, Buffer]>(
      (resolve, reject) => {
        asking.once("connect", (...heard) => resolve(heard as never));
        asking.once("error", (cause) => reject(signal.aborted ? signal.reason : cause));
        asking.end();
      },
    ).catch((cause: unknown) => {
      socket.destroy();
      throw connectFault(cause, "tcp", `proxy ${proxy.origin}`);
    });
    if (answer.statusCode === 200) {
      if (head.length > 0) socket.unshift(head);
      return socket;
    }
    socket.destroy();
    const status = answer.statusCode ?? 0;
    const text = `proxy ${proxy.origin} refused the tunnel to ${target}: ${status} ${answer.statusMessage ?? ""}`;
    throw new Fault(status >= 500 || status === 429 ? "ConnectionFailed" : "SourceRefused", text);
  }

  async #secure(plain: Socket, origin: URL, signal: AbortSignal): Promise<Socket> {
    const socket = tlsSocketOver({ socket: plain, ...this.#tlsOptions(origin) });
    this.#watch(socket);
    return await secured(socket, origin, signal).catch((cause: unknown) => {
      plain.destroy();
      throw cause;
    });
  }

  #tlsOptions(origin: URL): tls.ConnectionOptions & { host: string } {
    const host = bareHost(origin);
    this.#secureContext ??= makeSecureContext(this.#settings.ca);
    return {
      host,
      // An address is no server name in TLS; the certificate is still checked against it.
      servername: isIP(host) === 0 ? host : "",
      secureContext: this.#secureContext,
      rejectUnauthorized: !this.#settings.insecure,
      ALPNProtocols: ["http/1.1"],
    };
  }

  #watch(socket: Socket): void {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    // First in line, before the HTTP parser takes a reset of a connection without a length for a proper end.
    socket.on("error", () => {
      this.#failing = true;
      queueMicrotask(() => {
        this.#failing = false;
      });
    });
  }
}

/** A fact of the wire (interfaces/importer.md 8.1). */
export const userAgent = "cdi-golang-importer";

/** Header for a proxy whose URL holds user and password. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  return proxy.username ? { "proxy-authorization": basicOfUrl(proxy) } : {};
}

/** The Basic value of the user and password in a URL. */
export const basicOfUrl = (url: URL): string => basicAuth(unescaped(url.username), unescaped(url.password));
/** The value of an Authorization header, RFC 7617 with UTF-8. */
export const basicAuth = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

function unescaped(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString());
}

/** The runtime's list, with the quickest one first, as upstream's Go has it: most servers take the client's first. */
const quickest = "TLS_AES_128_GCM_SHA256";
const ciphers = [quickest, ...tls.DEFAULT_CIPHERS.split(":").filter((name) => name !== quickest)].join(":");

/**
 * The system's pool, as upstream's Go takes it, so that what an administrator adds or removes there counts; the list built
 * into node only where the system has none (an image without ca-certificates).
 */
function makeSecureContext(extra: readonly string[]): tls.SecureContext {
  const system = tls.getCACertificates("system");
  const pool = new Set([...(system.length > 0 ? system : tls.rootCertificates), ...extra]);
  // A bundle may hold a server's own or an intermediate certificate: trusted as it is, as in Go's pools.
  return tls.createSecureContext({ ca: [...pool], ciphers, minVersion: "TLSv1.2", allowPartialTrustChain: true });
}

/** Only addresses that may be connected to; a name that has none is the refusal's. */
function lookupIn(hosts: Hosts | undefined, refuse: (address: string) => void): LookupFunction {
  return (name, options, done) => {
    const found = hosts?.(name)?.map((address) => ({ address, family: isIP(address) }));
    const choose = (all: readonly LookupAddress[]): void => {
      const { allowed, refusal } = sieve(all, refuse);
      const [first] = allowed;
      if (!first) return done(refusal ?? new Error(`no address for ${name}`), "", 0);
      return options.all ? done(null, allowed) : done(null, first.address, first.family);
    };
    if (found && found.length > 0) return choose(found);
    return systemLookup(name, { ...options, all: true }, (error, all) => (error ? done(error, "", 0) : choose(all)));
  };
}

function sieve(
  all: readonly LookupAddress[],
  refuse: (address: string) => void,
): { allowed: LookupAddress[]; refusal?: Fault } {
  const allowed: LookupAddress[] = [];
  let refusal: Fault | undefined;
  for (const one of all) {
    try {
      refuse(one.address);
      allowed.push(one);
    } catch (cause) {
      if (!(cause instanceof Fault)) throw cause;
      refusal = cause;
    }
  }
  return { allowed, ...(refusal ? { refusal } : {}) };
}

/** @returns the socket, once its other end is known to be the origin */
async function secured(socket: Socket, origin: URL, signal: AbortSignal): Promise<Socket> {
  await until(socket, "secureConnect", signal).catch((cause: unknown) => {
    throw connectFault(cause, "tls", origin.origin);
  });
  return socket;
}

/** Resolves on the event; on error, end or the signal the socket is destroyed and the cause thrown. Leaves no listener. */
async function until(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onClose = (): void => leave(() => reject(new Error("the connection was closed")));
    const onError = (cause: Error): void => leave(() => reject(cause));
    const onAbort = (): void => leave(() => reject(signal.reason as Error));
    const onEvent = (): void => leave(resolve);
    const leave = (then: () => void): void => {
      socket.off("close", onClose).off("error", onError).off(event, onEvent);
      signal.removeEventListener("abort", onAbort);
      then();
    };
    socket.once("close", onClose).once("error", onError).once(event, onEvent);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
  }).catch((cause: unknown) => {
    socket.destroy();
    throw cause;
  });
}
