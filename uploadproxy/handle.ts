// One request through the proxy: the checks in the order of interfaces/upload.md section 2.3, then the bytes.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { LookupFunction } from "node:net";
import type { Claim } from "../src/api/core.ts";
import { uploadServiceName } from "../src/contract/names.ts";
import { healthPath, uploadPort } from "../src/contract/upload-routes.ts";
import type { Clock } from "../src/lib/clock.ts";
import { earlyHeaders, linger } from "../src/lib/http-early.ts";
import type { Log } from "../src/lib/log.ts";
import { bearerOf } from "./bearer.ts";
import { answerHeaders, isPreflight, preflightHeaders } from "./cors.ts";
import { forward, type Destination } from "./forward.ts";
import { serverPathOf, wayOf, type Way } from "./paths.ts";
import { untilReady } from "./readiness.ts";

export interface ProxyWorld {
  /** PEM. */
  publicKey: string;
  readClaim(namespace: string, name: string): Promise<Claim | undefined>;
  /** PEM: our certificate, its key, and who signs upload servers. @throws Error when they cannot be had */
  identity(): Promise<Pick<Destination, "certificate" | "key" | "ca">>;
  lookup?: LookupFunction | undefined;
  clock: Clock;
  log: Log;
  /** Aborts when the proxy ends. */
  signal: AbortSignal;
}

export async function handle(world: ProxyWorld, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (isPreflight(request.method, request.headers)) {
    return answer(request, response, 200, "", preflightHeaders(request.headers));
  }
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  const way = wayOf(path);
  const added = answerHeaders(request.headers, way?.isResumable ?? false);
  if (path === healthPath) return answer(request, response, 200, "OK", added);
  if (!way) return answer(request, response, 404, "404 page not found\n", added);
  const bearer = await bearerOf(request.headers.authorization, world.publicKey, world.clock.now());
  if ("refused" in bearer) return answer(request, response, bearer.refused, "", added);
  await toServer(world, way, bearer.target, request, response, added);
}

async function toServer(
  world: ProxyWorld,
  way: Way,
  { namespace, name }: { namespace: string; name: string },
  request: IncomingMessage,
  response: ServerResponse,
  added: OutgoingHttpHeaders,
): Promise<void> {
  const log = world.log.with({ claim: `${namespace}/${name}`, method: request.method, path: way.path });
  // While the token was checked: what has closed by now never says so again.
  if (response.destroyed) return;
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new Error("the client has gone"));
  response.once("close", onClose);
  const signal = AbortSignal.any([gone.signal, world.signal]);
  let ready: Awaited<ReturnType<typeof untilReady>>;
  try {
    ready = await untilReady(name, (claim) => world.readClaim(namespace, claim), world.clock, signal);
  } catch (cause) {
    if (gone.signal.aborted) return;
    ready = { refused: cause instanceof Error ? cause.message : String(cause) };
  }
  if ("refused" in ready) {
    log.info("Refusing an upload", { why: ready.refused });
    return answer(request, response, 503, escaped(ready.refused), added);
  }
  let identity: Awaited<ReturnType<ProxyWorld["identity"]>>;
  try {
    identity = await world.identity();
  } catch (cause) {
    log.error("Refusing an upload: the certificates cannot be read", { cause });
    return answer(request, response, 500, "", added);
  }
  const host = `${uploadServiceName(ready.claim)}.${namespace}.svc`;
  const destination = { ...identity, host, port: uploadPort, path: serverPathOf(way, ready.contentType) };
  try {
    log.info("Passing on an upload", { host });
    const status = await forward(request, response, { ...destination, lookup: world.lookup }, added, signal);
    // Tokens are checked here: at the server it is about certificates.
    if (status === 401)
      log.warn("The upload server does not know our certificate's authority: delete its pod", { host });
  } catch (cause) {
    if (response.destroyed) return log.info("The client has gone", { host });
    log.warn("Passing on failed", { host, cause });
    const text = `error in upload-proxy: ${cause instanceof Error ? cause.message : String(cause)}`;
    answer(request, response, 502, text, added);
  }
}

/** As Go's html.EscapeString writes. */
const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "'": "&#39;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
};
export const escaped = (text: string): string => text.replaceAll(/[&'<>"]/g, (one) => entities[one] ?? one);

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  body: string,
  headers: OutgoingHttpHeaders,
): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  response.writeHead(code, {
    ...headers,
    ...(body === "" ? {} : { "content-type": "text/plain; charset=utf-8" }),
    "content-length": Buffer.byteLength(body),
    ...earlyHeaders(request),
  });
  response.once("finish", () => linger(request));
  response.end(request.method === "HEAD" ? undefined : body);
}
