// Answers that reach a client that is still sending.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { seconds } from "../src/lib/duration.ts";
import { waitsToBeTold } from "../src/lib/http-continue.ts";
import type { Answer } from "./answers.ts";

/** How long an answered client may go on sending before it is cut off. Closing at once would lose it the answer. */
const lingerMs = seconds(30);

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
    // One that is still sending would lose the answer with the connection, also where it wanted it closed afterwards.
    ...(request.complete ? {} : { connection: waitsToBeTold(request) ? "close" : "keep-alive" }),
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
  if (request.complete) return;
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  timer.unref();
  request.once("close", () => clearTimeout(timer));
  request.on("error", () => undefined); // it has been answered
  request.resume();
}

/** Resolves when the answer has been handed to the network, or can no more be. */
export function answered(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.writableFinished || response.destroyed) return resolve();
    response.once("finish", resolve).once("close", resolve);
  });
}
