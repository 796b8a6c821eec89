// Answers that come before a request's body has ended: whether the client is sending, and what makes the answer reach it.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { collectNowAndThen } from "./collect-young.ts";
import { seconds } from "./duration.ts";

/** How long an answered client may go on sending before it is cut off. Closing at once would lose it the answer. */
const lingerMs = seconds(30);
const told = new WeakSet<IncomingMessage>();

export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/** Tells a client that waits for "100 Continue" to send its body; of any other nothing happens. */
export function tellToGoOn(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect === undefined || told.has(request)) return;
  told.add(request);
  response.writeContinue();
}

/**
 * Of the answer. A client that waits and was not told has not begun to send: what it sends next would pass for the body, so its
 * connection ends. One that is sending would lose the answer with its connection, which bytes on their way reset: it is kept, also
 * where the client wanted it closed afterwards.
 */
export function earlyHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  if (request.complete || !hasBody(request)) return {};
  const waits = request.headers.expect !== undefined && !told.has(request) && request.readableLength === 0;
  return { connection: waits ? "close" : "keep-alive" };
}

/** Once it is answered: reads on for a while, and throws away. */
export function linger(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const { socket } = request;
  const limit = setTimeout(() => socket.destroy(), lingerMs);
  limit.unref();
  request.once("close", () => clearTimeout(limit));
  request.on("error", () => undefined); // it has been answered
  request.on("data", (chunk: Buffer) => collectNowAndThen(chunk.length));
  // Whoever read it before may have paused it, and a listener alone does not make it flow again.
  request.resume();
}
