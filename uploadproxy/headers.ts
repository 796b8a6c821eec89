// Which headers pass through a proxy: all but those that speak of one connection only.
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";

const ofOneConnection = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** Names and values as they came, doubled ones as lists; what the Connection header names goes too. */
export function passedHeaders(message: IncomingMessage): OutgoingHttpHeaders {
  const named = (message.headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase());
  const headers: Record<string, string[]> = {};
  const { rawHeaders } = message;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? "").toLowerCase();
    if (ofOneConnection.includes(name) || named.includes(name)) continue;
    (headers[name] ??= []).push(rawHeaders[at + 1] ?? "");
  }
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}
