// pods/NAME/log: the node's bytes, passed on as they come.
import type { ServerResponse } from "node:http";
import type { PodLogs } from "../types.ts";
import { badRequest, noSuchPath } from "./errors.ts";

const numberIn = (query: URLSearchParams, name: string): number | undefined => {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d+$/.test(text)) throw badRequest(`${name} must be a number, not ${JSON.stringify(text)}`);
  return Number(text);
};
const isSet = (query: URLSearchParams, name: string): boolean => query.get(name) === "true" || query.get(name) === "1";

/** A refusal before the first byte becomes a Status. @throws what the node throws, ApiError 400, 404 */
export async function serveLogs(
  logs: PodLogs | undefined,
  place: { namespace: string; name: string },
  query: URLSearchParams,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (!logs) throw noSuchPath();
  const gone = new AbortController();
  // While its token was looked at: it does not tell so again.
  if (response.destroyed) gone.abort();
  response.on("close", () => gone.abort());
  const container = query.get("container");
  const counts = Object.fromEntries(
    (["tailLines", "sinceSeconds", "limitBytes"] as const).flatMap((name) => {
      const value = numberIn(query, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const bytes = logs.read(place.namespace, place.name, {
    ...(container ? { container } : {}),
    ...counts,
    follow: isSet(query, "follow"),
    previous: isSet(query, "previous"),
    timestamps: isSet(query, "timestamps"),
    signal: AbortSignal.any([signal, gone.signal]),
  });
  const start = (): void => {
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/plain" }).flushHeaders();
  };
  try {
    for await (const chunk of bytes) {
      start();
      if (gone.signal.aborted) return;
      if (!response.write(chunk)) await drained(response, gone.signal);
    }
  } catch (cause) {
    if (!response.headersSent) throw cause;
    // Too late for a status: an early end of the connection is the only sign left.
    response.destroy();
    return;
  }
  start();
  response.end();
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      gone.removeEventListener("abort", done);
      resolve();
    };
    response.once("drain", done);
    gone.addEventListener("abort", done, { once: true });
    if (gone.aborted) done();
  });
}
