// What the server answers: the one file, whole or a range of it, and its environment under /info.
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { infoPath, type ServerInfo } from "../src/contract/node-pull.ts";
import type { DiskFile } from "./disk-file.ts";

export interface Served {
  readonly file: DiskFile;
  readonly info: ServerInfo;
}

/** Bytes read from the file at a time. */
const pieceBytes = 1024 * 1024;

/** Rejects when the body could not be sent whole. */
export async function answer(request: IncomingMessage, response: ServerResponse, served: Served): Promise<void> {
  const path = pathOf(request.url ?? "/");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return void response.writeHead(405, { allow: "GET, HEAD", "content-length": 0 }).end();
  }
  if (path === infoPath) return say(response, 200, "application/json", JSON.stringify(served.info));
  if (path !== `/${served.file.name}`) return say(response, 404, "text/plain; charset=utf-8", "404 page not found\n");
  await sendFile(request, response, served.file);
}

function say(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
}

/** @returns undefined for a path that is no text */
function pathOf(target: string): string | undefined {
  const raw = target.replace(/[?#].*$/s, "");
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    if (cause instanceof URIError) return undefined;
    throw cause;
  }
}

async function sendFile(request: IncomingMessage, response: ServerResponse, file: DiskFile): Promise<void> {
  const { sizeBytes } = file;
  const etag = `"${file.id}"`;
  const changed = new Date(file.changedMs).toUTCString();
  const ifRange = request.headers["if-range"];
  const isSame = ifRange === undefined || ifRange === etag || ifRange === changed;
  const range = isSame ? rangeOf(request.headers.range, sizeBytes) : undefined;
  const shared = { "accept-ranges": "bytes", etag, "last-modified": changed };
  if (range === "unsatisfiable") {
    const headers = { ...shared, "content-range": `bytes */${sizeBytes}`, "content-length": 0 };
    return void response.writeHead(416, headers).end();
  }
  const { first, last } = range ?? { first: 0, last: sizeBytes - 1 };
  response.writeHead(range ? 206 : 200, {
    ...shared,
    "content-type": "application/octet-stream",
    "content-length": last - first + 1,
    ...(range ? { "content-range": `bytes ${first}-${last}/${sizeBytes}` } : {}),
  });
  if (request.method === "HEAD" || last < first) return void response.end();
  await pipeline(piecesOf(file, first, last), response);
}

/** No stream of node's: one that breaks off closes the file, which serves the next request, and each leaves a listener on it. */
async function* piecesOf({ handle, name }: DiskFile, first: number, last: number): AsyncGenerator<Buffer> {
  for (let at = first; at <= last;) {
    const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, last + 1 - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`${name} ends at byte ${at}: it has become shorter`);
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/** @returns undefined for no range, one that cannot be read, and several: then the whole file is a right answer (RFC 9110 14.2) */
export function rangeOf(header: string | undefined, sizeBytes: number): Range | "unsatisfiable" | undefined {
  const [, from = "", to = ""] = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header ?? "") ?? [];
  if (from === "" && to === "") return undefined;
  if (from === "") {
    const wanted = Math.min(Number(to), sizeBytes);
    return wanted === 0 ? "unsatisfiable" : { first: sizeBytes - wanted, last: sizeBytes - 1 };
  }
  const first = Number(from);
  if (to !== "" && Number(to) < first) return undefined;
  if (first >= sizeBytes) return "unsatisfiable";
  return { first, last: to === "" ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) };
}
