// What the upload server's tests stand on: the built program started as in a pod, with real certificates, and clients to it.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { uploadTlsFiles } from "../../../src/contract/paths.ts";
import { uploadEnv, type UploadConfig } from "../../../src/contract/upload-env.ts";
import { uploadClientName } from "../../../src/contract/upload-routes.ts";
import type { KeyedCertificate } from "../../../src/pki/index.ts";
import { authorityNow, certificateNow } from "../../support/upload-stand-in.ts";
import { makePod, projectRoot, readTerminationLog, type Pod, type Ran } from "../importer/world.ts";

export interface Certificates {
  /** Who signs servers, and who signs clients. */
  readonly servers: KeyedCertificate;
  readonly clients: KeyedCertificate;
  readonly server: KeyedCertificate;
  /** The proxy's. */
  readonly proxy: KeyedCertificate;
}

export async function makeCertificates(): Promise<Certificates> {
  const [servers, clients] = (await Promise.all(["servers", "clients"].map(authorityNow))) as [
    KeyedCertificate,
    KeyedCertificate,
  ];
  const [server, proxy] = await Promise.all([
    certificateNow(servers, "upload", "server", { dnsNames: ["upload"] }),
    certificateNow(clients, uploadClientName, "client"),
  ]);
  return { servers, clients, server, proxy };
}

const bare: UploadConfig = {
  tlsKeyFile: undefined,
  tlsCertFile: undefined,
  clientCertFile: undefined,
  tlsKey: undefined,
  tlsCert: undefined,
  clientCert: undefined,
  filesystemOverhead: "0.06",
  imageSize: "64Mi",
  clientName: uploadClientName,
  preallocation: false,
  tlsCiphers: "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,ECDHE-ECDSA-AES128-GCM-SHA256",
  tlsMinVersion: "VersionTLS12",
  destination: undefined,
  deadline: undefined,
  listenAddress: undefined,
  listenPort: undefined,
};

export interface StartOptions {
  readonly pod?: Pod;
  /** As a v1.56 controller would. */
  readonly old?: boolean;
  readonly config?: Partial<UploadConfig>;
  readonly env?: Readonly<Record<string, string>>;
  readonly scratch?: boolean;
  readonly blockBytes?: number;
}

export interface Server {
  readonly pod: Pod;
  readonly pid: number;
  readonly address: string;
  readonly certificates: Certificates;
  /** Ends by itself or by `kill`. */
  readonly ended: Promise<Ran>;
  kill(signal?: NodeJS.Signals): void;
  /** What is on the log so far. */
  log(): string;
  /** Resolves when a line with these words was logged. Rejects when the program ended without. */
  logged(words: string): Promise<void>;
  /** Kills it if it still runs, and removes its files unless the pod was given. */
  close(): Promise<void>;
}

/** Starts the built program in a pod's tree, on an address of its own, and waits until it serves. */
export async function startServer(certificates: Certificates, options: StartOptions = {}): Promise<Server> {
  const { scratch = false, blockBytes } = options;
  const pod = options.pod ?? (await makePod({ scratch, ...(blockBytes === undefined ? {} : { blockBytes }) }));
  const address = `127.${randomInt(128, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const config = { ...bare, ...(await tlsConfig(certificates, options.old ?? false, pod)), ...options.config };
  const env = Object.fromEntries(uploadEnv.write(config).map(({ name, value }) => [name, value]));
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [join(projectRoot, "dist/uploadserver.js"), "-v=3"], {
    env: { PATH, CDI_ROOT: pod.root, CDI_POD_IP: address, ...env, ...options.env },
    stdio: ["ignore", "inherit", "pipe"],
  });
  let log = "";
  let isOver = false;
  const waiting: (() => void)[] = [];
  const wake = (): void => waiting.splice(0).forEach((act) => act());
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
    wake();
  });
  const ended = new Promise<Ran>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exit) => {
      isOver = true;
      wake();
      readTerminationLog(pod.at("/dev/termination-log")).then((message) => done({ exit, message, log }), fail);
    });
  });
  const server: Server = {
    pod,
    pid: child.pid ?? 0,
    address,
    certificates,
    ended,
    kill: (signal = "SIGTERM") => void child.kill(signal),
    log: () => log,
    async logged(words) {
      while (!log.includes(words)) {
        if (isOver) throw new Error(`the server ended without saying ${words}: ${log}`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    async close() {
      if (!isOver) child.kill("SIGKILL");
      await ended;
      if (!options.pod) await pod.remove();
    },
  };
  if (!options.config?.clientName && options.config?.clientName !== undefined) return server;
  await server.logged("Serving uploads");
  return server;
}

async function tlsConfig({ server, clients }: Certificates, old: boolean, pod: Pod): Promise<Partial<UploadConfig>> {
  if (old) return { tlsKey: server.key, tlsCert: server.certificate, clientCert: clients.certificate };
  const files = { [uploadTlsFiles.key]: server.key, [uploadTlsFiles.cert]: server.certificate };
  for (const [path, text] of Object.entries({ ...files, [uploadTlsFiles.clientCa]: clients.certificate })) {
    await mkdir(dirname(pod.at(path)), { recursive: true });
    await writeFile(pod.at(path), text);
  }
  const { key: tlsKeyFile, cert: tlsCertFile, clientCa: clientCertFile } = uploadTlsFiles;
  return { tlsKeyFile, tlsCertFile, clientCertFile };
}

export interface Said {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer | Readable;
  /** Default: the proxy's. */
  readonly as?: KeyedCertificate | "nobody";
}

export const identityOf = ({ certificates, address }: Server, as: Ask["as"]): RequestOptions => ({
  host: address,
  port: 8443,
  servername: "upload",
  ca: certificates.servers.certificate,
  ...(as === "nobody" ? {} : { cert: (as ?? certificates.proxy).certificate, key: (as ?? certificates.proxy).key }),
});

/** One request on a connection of its own. @throws what the connection failed with before an answer was there */
export function ask(server: Server, { method = "POST", path = "/v1beta1/upload", ...rest }: Ask = {}): Promise<Said> {
  return new Promise((resolve, reject) => {
    const { headers = {}, body, as } = rest;
    const length = Buffer.isBuffer(body) ? { "content-length": body.length } : {};
    const options = { ...identityOf(server, as), agent: false as const, method, path };
    const outgoing = httpsRequest({ ...options, headers: { ...length, ...headers } }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }));
      answer.on("error", reject);
    });
    outgoing.on("error", reject);
    if (body instanceof Readable) body.pipe(outgoing);
    else outgoing.end(body);
  });
}

/** A connection whose bytes the test sends itself. */
export async function openConnection(server: Server): Promise<TLSSocket> {
  const socket = connect(identityOf(server, undefined) as never);
  socket.on("error", () => undefined); // cut by design in many tests
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

/** All that comes until the other side ends. */
export async function readAllOf(socket: TLSSocket): Promise<string> {
  let text = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

export const diskOf = (server: Server): Promise<Buffer | undefined> =>
  readFile(server.pod.at("/data/disk.img")).catch(() => undefined);
