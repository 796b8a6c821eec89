// Debian's docker-registry, for real, on loopback: plain, TLS, basic auth or tokens over one store. Stopped when the test ends.
import { execFileSync, spawn } from "node:child_process";
import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { findTool } from "../../src/datapath/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { issueCertificate, makeAuthority, selfSigned, type KeyedCertificate } from "../../src/pki/index.ts";
import type { BuiltImage, BuiltIndex } from "./container-disk.ts";
import { makeFolder, type AtEnd } from "./loop.ts";

/** Why registry tests cannot run here; undefined when they can. CI has it installed by `npm test`. */
export const noRegistry: string | undefined =
  findTool("docker-registry") && findTool("htpasswd")
    ? undefined
    : "docker-registry or htpasswd is not installed (Debian packages docker-registry, apache2-utils)";

export interface RegistryOptions {
  /** Folder of the store; default a new one. Several registries may serve one. */
  readonly store?: string;
  readonly tls?: boolean;
  /** Basic auth, passwords hashed by htpasswd -B. */
  readonly basic?: { readonly user: string; readonly password: string };
  /** Tokens of this server, which the registry trusts. */
  readonly tokens?: TokenServer;
}

export interface Registry {
  /** 127.0.0.1:port, or localhost:port with TLS. */
  readonly host: string;
  readonly store: string;
  /** PEM of the authority; "" without TLS. */
  readonly ca: string;
  /** Over HTTP; only where nothing is asked for. */
  push(repository: string, tag: string, image: BuiltImage | BuiltIndex): Promise<void>;
  /** Changes a blob where it is stored: what is served no longer has its digest. */
  spoil(digest: string, at: number): Promise<void>;
}

export async function startRegistry(options: RegistryOptions = {}, atEnd: AtEnd = onTestFinished): Promise<Registry> {
  const { tls = false, basic, tokens } = options;
  const work = await makeFolder("cdi-registry-", atEnd);
  const store = options.store ?? (await makeFolder("cdi-registry-store-", atEnd));
  const port = await freePort();
  const lines = [
    "version: 0.1",
    "log: { level: error, accesslog: { disabled: true } }",
    `storage: { filesystem: { rootdirectory: ${store} } }`,
    "http:",
    `  addr: 127.0.0.1:${port}`,
    `  secret: ${randomUUID()}`,
  ];
  let ca = "";
  if (tls) {
    const made = await serverPair();
    ca = made.ca;
    await writeFile(join(work, "tls.crt"), made.pair.certificate);
    await writeFile(join(work, "tls.key"), made.pair.key);
    lines.push(`  tls: { certificate: ${work}/tls.crt, key: ${work}/tls.key }`);
  }
  if (basic) {
    const hashed = execFileSync("htpasswd", ["-Bin", basic.user], { input: basic.password });
    await writeFile(join(work, "htpasswd"), hashed);
    lines.push("auth:", `  htpasswd: { realm: test, path: ${work}/htpasswd }`);
  }
  if (tokens) {
    await writeFile(join(work, "tokens.crt"), tokens.certificate);
    lines.push(
      "auth:",
      `  token: { realm: "${tokens.url}/token", service: test-registry, issuer: test-issuer, rootcertbundle: ${work}/tokens.crt }`,
    );
  }
  await writeFile(join(work, "config.yml"), `${lines.join("\n")}\n`);
  const child = spawn("docker-registry", ["serve", join(work, "config.yml")], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, "exit");
  atEnd(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await untilOpen(port, () => (child.exitCode === null ? undefined : `docker-registry ended: ${said}`));
  const host = `${tls ? "localhost" : "127.0.0.1"}:${port}`;
  const put = async (path: string, body: Buffer, type: string): Promise<void> => {
    const answer = await fetch(path.startsWith("http") ? path : `http://${host}${path}`, {
      method: "PUT",
      body: new Uint8Array(body),
      headers: { "content-type": type },
    });
    if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  const pushImage = async (repository: string, reference: string, image: BuiltImage): Promise<void> => {
    for (const [digest, bytes] of image.blobs) {
      const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: "POST" });
      const location = new URL(begun.headers.get("location") ?? "", `http://${host}`);
      location.searchParams.set("digest", digest);
      await put(location.href, bytes, "application/octet-stream");
    }
    await put(`/v2/${repository}/manifests/${reference}`, image.manifest, image.mediaType);
  };
  return {
    host,
    store,
    ca,
    async push(repository, tag, image) {
      if (!("images" in image)) return await pushImage(repository, tag, image);
      for (const one of image.images) await pushImage(repository, one.digest, one);
      await put(`/v2/${repository}/manifests/${tag}`, image.manifest, image.mediaType);
    },
    async spoil(digest, at) {
      const hex = digest.replace("sha256:", "");
      const path = join(store, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
      const bytes = await readFile(path);
      const place = at < 0 ? bytes.length + at : at;
      bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
      await writeFile(path, bytes);
    },
  };
}

async function serverPair(): Promise<{ ca: string; pair: KeyedCertificate }> {
  const authority = await makeAuthority("registry authority", 3_600_000, systemClock);
  const pair = await issueCertificate(authority, { ...span(), commonName: "localhost", dnsNames: ["localhost"] });
  return { ca: authority.certificate, pair };
}

const span = () => ({
  usages: ["server" as const],
  notBefore: Date.now() - 60_000,
  notAfter: Date.now() + 3_600_000,
});

export interface TokenServer {
  readonly url: string;
  readonly certificate: string;
  /** What was asked: query and the Authorization header. */
  readonly requests: { readonly query: URLSearchParams; readonly authorization: string | undefined }[];
}

/** Hands out tokens for whatever is asked, to this user. */
export async function startTokenServer(
  user: string,
  password: string,
  atEnd: AtEnd = onTestFinished,
): Promise<TokenServer> {
  const { certificate, key } = await selfSigned({ ...span(), commonName: "test-issuer", dnsNames: ["test-issuer"] });
  const requests: TokenServer["requests"][number][] = [];
  const url = await listen((incoming, response) => {
    const { searchParams: query } = new URL(incoming.url ?? "", "http://x");
    const { authorization } = incoming.headers;
    requests.push({ query, authorization });
    const wanted = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    if (authorization !== wanted) return void response.writeHead(401).end();
    const [type = "", name = "", actions = ""] = (query.get("scope") ?? "").split(":");
    const token = signedToken(key, certificate, {
      iss: "test-issuer",
      sub: user,
      aud: query.get("service"),
      exp: Math.floor(Date.now() / 1000) + 300,
      nbf: Math.floor(Date.now() / 1000) - 10,
      iat: Math.floor(Date.now() / 1000) - 10,
      jti: randomUUID(),
      access: [{ type, name, actions: actions.split(",") }],
    });
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ token }));
  }, atEnd);
  return { url, certificate, requests };
}

function signedToken(key: string, certificate: string, claims: object): string {
  const chain = [new X509Certificate(certificate).raw.toString("base64")];
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const content = `${encode({ alg: "ES256", typ: "JWT", x5c: chain })}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(content), { key: createPrivateKey(key), dsaEncoding: "ieee-p1363" });
  return `${content}.${signature.toString("base64url")}`;
}

export interface CuttingProxy {
  readonly host: string;
  /** Of blobs, in order: the Range that was asked. */
  readonly ranges: (string | undefined)[];
  /** Every request's path and Authorization. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[];
}

/** In front of a plain registry. The first answers with a blob of at least `leastBytes` are cut off after so many bytes. */
export async function startCuttingProxy(
  target: string,
  cuts: readonly number[],
  leastBytes: number,
  atEnd: AtEnd = onTestFinished,
): Promise<CuttingProxy> {
  const left = [...cuts];
  const ranges: (string | undefined)[] = [];
  const requests: CuttingProxy["requests"][number][] = [];
  const url = await listen((incoming, response) => {
    const { method, url: path = "", headers } = incoming;
    requests.push({ path, authorization: headers.authorization });
    const onwards = request(`http://${target}${path}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      const length = Number(answer.headers["content-length"] ?? 0);
      const isBlob = path.includes("/blobs/") && length >= leastBytes;
      if (isBlob) ranges.push(headers.range);
      const cut = isBlob ? left.shift() : undefined;
      passOn(answer, response, cut ?? Infinity);
    });
    onwards.on("error", () => response.destroy());
    onwards.end();
  }, atEnd);
  return { host: url.replace("http://", ""), ranges, requests };
}

function passOn(answer: IncomingMessage, response: ServerResponse, cutAfter: number): void {
  let left = cutAfter;
  let isCut = false;
  answer.on("data", (chunk: Buffer) => {
    if (isCut) return;
    response.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left > 0) return;
    isCut = true;
    response.socket?.destroySoon();
  });
  answer.on("end", () => response.end()).on("error", () => response.destroy());
  response.on("close", () => answer.destroy());
}

/** An HTTP server on a free port. @returns its URL */
export async function listen(
  handle: (incoming: IncomingMessage, response: ServerResponse) => void,
  atEnd: AtEnd = onTestFinished,
): Promise<string> {
  const server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilOpen(port: number, over: () => string | undefined): Promise<void> {
  const { connect } = await import("node:net");
  for (;;) {
    const why = over();
    if (why !== undefined) throw new Error(why);
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await pause(20);
  }
}
