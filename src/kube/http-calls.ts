// One HTTPS exchange with an API server: sends JSON, gives the answer's stream, turns a Status into a KubeError.
// node:https and not fetch: the credentials come as agent options (client certificates, CA), and a watch needs no time limit.
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { KubeError } from "./types.ts";

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query, from the server's root. */
  path: string;
  body?: object;
  contentType?: string;
  signal?: AbortSignal;
  /** Nothing may be still on the connection for this long, ms: neither before the answer nor within it. */
  timeoutMs: number;
}

/** @throws KubeError for a status over 299, or the connection's own error */
export async function exchange(server: string, options: RequestOptions, call: Call): Promise<IncomingMessage> {
  const answer = await send(server, options, call);
  if ((answer.statusCode ?? 0) < 300) return answer;
  const wait = retryAfterMs(answer.headers["retry-after"]);
  throw refusalOf(answer.statusCode ?? 0, await textOf(answer), `${call.method} ${call.path}`, wait);
}

function send(server: string, options: RequestOptions, call: Call, retried = false): Promise<IncomingMessage> {
  const url = new URL(server.replace(/\/$/, "") + call.path);
  const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
  const request = (url.protocol === "http:" ? httpRequest : httpsRequest)(url, {
    ...options,
    method: call.method,
    headers: {
      accept: "application/json",
      ...(options.headers as OutgoingHttpHeaders | undefined),
      ...(body ? { "content-type": call.contentType ?? "application/json", "content-length": body.length } : {}),
    },
    ...(call.signal ? { signal: call.signal } : {}),
  });
  return new Promise<IncomingMessage>((resolve, reject) => {
    // 0 also takes back the limit an earlier call left on a connection taken up again.
    request.setTimeout(call.timeoutMs, () => {
      request.destroy(
        new Error(`no answer from ${url.host} to ${call.method} ${url.pathname} in ${call.timeoutMs} ms`),
      );
    });
    request.once("socket", (socket) => socket.setKeepAlive(true, 30_000));
    request.once("response", resolve);
    request.on("error", (cause: NodeJS.ErrnoException) => {
      // The server closed an idle connection just as it was taken up again. All our writes are safe to repeat: names are
      // given, patches carry values or a resource version.
      const wasIdle = request.reusedSocket && (cause.code === "ECONNRESET" || cause.code === "EPIPE");
      if (wasIdle && !retried && !call.signal?.aborted) resolve(send(server, options, call, true));
      else reject(cause);
    });
    request.end(body);
  });
}

export async function textOf(answer: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

const longestWaitMs = 60_000;

/** API servers send whole seconds (flow control, a server that is going down). @returns undefined for anything else */
function retryAfterMs(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,9}$/.test(header) ? Math.min(Number(header) * 1000, longestWaitMs) : undefined;
}

/** The KubeError in a metav1.Status body, or one made of the status line where the body is something else. */
export function refusalOf(status: number, body: string, what: string, waitMs?: number): KubeError {
  const asked = waitMs === undefined ? {} : { retryAfterMs: waitMs };
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null && "kind" in parsed && parsed.kind === "Status") {
      const { reason, message, code } = parsed as { reason?: string; message?: string; code?: number };
      return new KubeError(code ?? status, reason ?? "Unknown", message ?? `${what}: status ${status}`, asked);
    }
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  return new KubeError(
    status,
    status === 404 ? "NotFound" : "Unknown",
    `${what}: status ${status}: ${body.slice(0, 200)}`,
    asked,
  );
}
