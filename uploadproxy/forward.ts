// Passes one request on to an upload server and its answer back, untouched: no byte is kept, each side is as fast as the other
// lets it, and who hangs up on one side is hung up on at the other.
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import type { TLSSocket } from "node:tls";
import { earlyHeaders, hasBody, linger, tellToGoOn } from "../src/lib/http-early.ts";
import { connectTo, type ServerAddress } from "./connect.ts";
import { passedHeaders } from "./headers.ts";
import { pump, type Pump } from "./pump.ts";

export interface Destination extends ServerAddress {
  path: string;
}

/**
 * Resolves when both sides are done with each other. Rejects only before an answer has begun, with the reason.
 * @returns the answer's status
 */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  to: Destination,
  added: OutgoingHttpHeaders,
  signal: AbortSignal,
): Promise<number | undefined> {
  // Connected before a byte of the body is taken: until then another try loses nothing.
  const socket = await connectTo(to, signal);
  const outgoing = send(request, to, socket);
  const body = hasBody(request) ? pump(request, outgoing) : void outgoing.end();
  const clientGone = (): void => void outgoing.destroy();
  response.once("close", clientGone);
  outgoing.on("continue", () => tellToGoOn(request, response));
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.on("error", reject);
  });
  await passBack(request, response, answer, to, added, body);
  response.off("close", clientGone);
  // The request may have let go of it by now, as of one that is kept.
  socket.destroy();
  return answer.statusCode;
}

function send(request: IncomingMessage, { host, port, path }: Destination, socket: TLSSocket): ClientRequest {
  const headers = passedHeaders(request);
  const from = request.socket.remoteAddress;
  const before = headers["x-forwarded-for"];
  return httpsRequest({
    host,
    port,
    path,
    method: request.method ?? "POST",
    headers: {
      ...headers,
      host: port === 443 ? host : `${host}:${port}`,
      // A server that is told "close" closes after an early answer while bytes are on their way, and the answer is lost with them.
      connection: "keep-alive",
      ...(from === undefined ? {} : { "x-forwarded-for": before === undefined ? from : `${String(before)}, ${from}` }),
    },
    // One connection a request: a renewed certificate is in use with the next.
    createConnection: () => socket,
  });
}

async function passBack(
  request: IncomingMessage,
  response: ServerResponse,
  answer: IncomingMessage,
  to: Destination,
  added: OutgoingHttpHeaders,
  body: Pump | undefined,
): Promise<void> {
  const headers = passedHeaders(answer);
  for (const name of Object.keys(headers)) if (name.startsWith("access-control-")) delete headers[name];
  const { location } = headers;
  if (typeof location === "string") headers["location"] = withoutServer(location, to);
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, {
    ...headers,
    ...added,
    ...earlyHeaders(request),
  });
  answer.pipe(response);
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    // The server broke off: so must the client see it.
    answer.once("close", () => {
      if (!answer.complete) response.destroy();
    });
    response.once("finish", () => {
      body?.stop();
      linger(request);
    });
  });
}

/** The client stays at the door it came through. */
function withoutServer(location: string, { host, port }: Destination): string {
  const own = [`https://${host}:${port}`, `https://${host}`].find((start) => location.startsWith(`${start}/`));
  return own === undefined ? location : location.slice(own.length);
}
