// What the importer's tests stand on: images, a web server with moods, and the built programs started as a pod would.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { withLateTable } from "../../support/late-tables.ts";
import { importerEnv, type ImporterConfig } from "../../../src/contract/importer-env.ts";

export const projectRoot = fileURLToPath(new URL("../../..", import.meta.url));
export const MiB = 2 ** 20;

/** Bundles what changed; nothing when all is fresh. */
export function ensureBuilt(): void {
  execFileSync(process.execPath, [join(projectRoot, "scripts/build.mjs")], { stdio: "pipe" });
}

export async function makeFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "cdi-importer-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export interface Images {
  readonly raw: string;
  readonly qcow2: string;
  /** Contents of both. */
  readonly bytes: Buffer;
}

/** A disk with random data in patches, as raw, as compressed qcow2, and as `late.qcow2`, whose table comes 40 MiB behind its data. */
export async function makeImages(folder: string, virtualSizeBytes = 16 * MiB): Promise<Images> {
  const bytes = Buffer.alloc(virtualSizeBytes);
  for (let at = 0; at + 40_000 < virtualSizeBytes; at += MiB) randomBytes(40_000).copy(bytes, at);
  const raw = join(folder, "disk.img");
  const qcow2 = join(folder, "disk.qcow2");
  await writeFile(raw, bytes);
  execFileSync("qemu-img", ["convert", "-c", "-f", "raw", "-O", "qcow2", raw, qcow2]);
  await writeFile(join(folder, "late.qcow2"), withLateTable(await readFile(qcow2), 40 * MiB));
  return { raw, qcow2, bytes };
}

export interface WebServer {
  readonly url: string;
  /** Bytes of bodies handed out. */
  readonly sentBytes: () => number;
  readonly close: () => Promise<void>;
}
export type Mood = "ranges" | "plain" | "cut" | "slow";

/** Serves one folder. `/<mood>/<file>`: with ranges, without, cut in the middle, or at 4 MiB/s. */
export async function serveFolder(folder: string): Promise<WebServer> {
  let sent = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, mood = "", name = ""] = (request.url ?? "").split("/");
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) return void response.writeHead(404).end("no such file");
    const range = mood === "plain" ? undefined : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const first = range ? Number(range[1]) : 0;
    const last = range?.[2] ? Math.min(found.size - 1, Number(range[2])) : found.size - 1;
    response.writeHead(range ? 206 : 200, {
      "content-length": last - first + 1,
      etag: `"${found.ino}-${found.size}"`,
      ...(mood === "plain" ? {} : { "accept-ranges": "bytes" }),
      ...(range ? { "content-range": `bytes ${first}-${last}/${found.size}` } : {}),
    });
    const part = createReadStream(path, { start: first, end: last, highWaterMark: 256 * 1024 });
    const bytes = mood === "cut" ? Math.floor((last - first + 1) / 2) : Infinity;
    await pipeline(part, moody(mood, bytes), response);
  };
  /** Hands on at most so many bytes, then breaks off. */
  const moody = (mood: string, bytes: number) =>
    async function* (chunks: AsyncIterable<Buffer>) {
      let left = bytes;
      for await (const chunk of chunks) {
        const some = chunk.subarray(0, left);
        left -= some.length;
        sent += some.length;
        yield some;
        if (left <= 0) throw new Error("cut");
        if (mood === "slow") await sleep(60);
      }
    };
  const server = createServer((request, response) => {
    answer(request, response).catch((cause: unknown) => response.destroy(cause as Error));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sentBytes: () => sent,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
const plainConfig: ImporterConfig = {
  source: "http",
  endpoint: "",
  contentType: "kubevirt",
  imageSize: "",
  ownerUid: "owner-1",
  filesystemOverhead: "0.06",
  insecureTls: false,
  diskId: "",
  uuid: "",
  pullMethod: "",
  readyFile: "",
  doneFile: "",
  backingFile: "",
  thumbprint: "",
  httpProxy: "",
  httpsProxy: "",
  noProxy: "",
  currentCheckpoint: "",
  previousCheckpoint: "",
  finalCheckpoint: "",
  preallocation: false,
  cacheMode: "",
  registryImageArchitecture: "",
  checksum: "",
  accessKeyId: undefined,
  secretKey: undefined,
  certDir: undefined,
  proxyCertDir: undefined,
  format: undefined,
  registryAuth: undefined,
  addressRules: undefined,
};
export const anEnv = (config: Partial<ImporterConfig>): Record<string, string> =>
  Object.fromEntries(importerEnv.write({ ...plainConfig, ...config }).map(({ name, value }) => [name, value]));

export interface Pod {
  readonly root: string;
  /** Path of a fixed path of the contract. */
  readonly at: (path: string) => string;
  readonly remove: () => Promise<void>;
}

/** A pod's file tree below a folder. `blockBytes`: a plain file of this size stands in for the block device. */
export async function makePod(
  parts: { scratch?: boolean; blockBytes?: number; checkpoint?: boolean } = {},
): Promise<Pod> {
  const { path: root, remove } = await makeFolder();
  await mkdir(join(root, "dev"));
  if (parts.blockBytes === undefined) await mkdir(join(root, "data"));
  if (parts.checkpoint) await mkdir(join(root, "checkpoint"));
  if (parts.scratch) await mkdir(join(root, "scratch"));
  if (parts.blockBytes !== undefined) await fillRandom(join(root, "dev/cdi-block-volume"), parts.blockBytes);
  return { root, at: (place) => join(root, place), remove };
}

async function fillRandom(path: string, bytes: number): Promise<void> {
  const file = await open(path, "w");
  for (let at = 0; at < bytes; at += MiB) await file.write(randomBytes(Math.min(MiB, bytes - at)), 0, undefined, at);
  await file.close();
}

export interface Ran {
  readonly exit: number | null;
  /** The termination log: JSON read, text as it is, undefined when none was written. */
  readonly message: unknown;
  readonly log: string;
}
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ran>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

/** Starts the built importer in the pod's tree. */
export function startImporter(pod: Pod, env: Record<string, string>, args: readonly string[] = ["-v=1"]): Running {
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [join(projectRoot, "dist/importer.js"), ...args], {
    env: { PATH, CDI_ROOT: pod.root, CDI_POD_IP: "127.0.0.1", ...env },
    stdio: ["ignore", "inherit", "pipe"],
  });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<Ran>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exit) => {
      readTerminationLog(pod.at("/dev/termination-log")).then((message) => done({ exit, message, log }), fail);
    });
  });
  return { pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
}

export async function readTerminationLog(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text?.startsWith("{") ? (JSON.parse(text) as unknown) : text;
}
