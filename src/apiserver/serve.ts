// HTTP of the aggregated API: path to handler, bounded bodies, the headers every answer bears.
import type { IncomingMessage, ServerResponse } from "node:http";
import { kinds } from "../api/kinds.ts";
import type { Log } from "../lib/log.ts";
import { plain, type Answer } from "./answer.ts";
import { documentAt } from "./discovery.ts";
import { userOf, type FrontProxy } from "./front-proxy.ts";
import { handleTokenRequest, type TokenDoor } from "./uploadtoken/handle.ts";

export interface Serving {
  door: TokenDoor;
  /** As it is now. */
  frontProxy: () => FrontProxy;
  log: Log;
}

const bodyLimitBytes = 1024 * 1024;
const { apiVersion, plural } = kinds.uploadTokenRequest;
const requestPath = new RegExp(`^/apis/${apiVersion.replaceAll(".", "\\.")}/namespaces/([^/]+)/${plural}$`);

export async function serve(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(serving, request);
  } catch (cause) {
    serving.log.error("Answering with an internal error", { path: request.url, cause });
    answer = plain(500, "internal error: see the server's log");
  }
  request.resume();
  response.writeHead(answer.code, {
    "content-type": answer.media,
    "content-length": Buffer.byteLength(answer.body),
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

async function answerTo({ door, frontProxy }: Serving, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  const isReading = request.method === "GET" || request.method === "HEAD";
  const [, namespace] = requestPath.exec(path) ?? [];
  if (namespace !== undefined) {
    if (request.method !== "POST") return plain(405, "405: Method Not Allowed");
    const body = await textOf(request);
    if (body === undefined) return plain(413, "the body is too large");
    return handleTokenRequest({ namespace, user: userOf(request, frontProxy()), body }, door);
  }
  const document = documentAt(path);
  if (!document) return plain(404, "404: Page Not Found");
  return isReading ? document : plain(405, "405: Method Not Allowed");
}

/** @returns undefined when it is longer than any request is */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimitBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
