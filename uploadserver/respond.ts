// Answers that reach a client that is still sending.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { earlyHeaders, linger } from "../src/lib/http-early.ts";
import type { Answer } from "./answers.ts";

/** Sends the answer; what the client still sends is read and dropped. */
export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body }: Answer,
  headers: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(body === "" ? "" : `${body}\n`);
  response.writeHead(status, {
    ...headers,
    ...(bytes.length > 0 ? { "content-type": "text/plain; charset=utf-8" } : {}),
    "content-length": bytes.length,
    ...earlyHeaders(request),
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
  linger(request);
}

/** Resolves when the answer has been handed to the network, or can no more be. */
export function answered(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.writableFinished || response.destroyed) return resolve();
    response.once("finish", resolve).once("close", resolve);
  });
}
