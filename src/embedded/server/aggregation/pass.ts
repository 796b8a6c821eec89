// Passes a request on to the server that is registered for its group: over HTTPS, with the front proxy's certificate, and with
// the user in headers. What the client itself says of users goes no further.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { KeyedCertificate } from "../../../pki/index.ts";
import type { UserInfo } from "../auth/user.ts";
import { ApiError } from "../errors.ts";
import type { Address, Registration } from "./registrations.ts";

/** What the connection to a registered server is made of. */
export function connectionTo(
  { service, ca, isUnverified }: Registration,
  { host, port }: Address,
  frontProxy: KeyedCertificate,
): RequestOptions {
  return {
    host,
    port,
    servername: `${service.name}.${service.namespace}.svc`,
    cert: frontProxy.certificate,
    key: frontProxy.key,
    ...(ca ? { ca } : {}),
    rejectUnauthorized: !isUnverified,
    agent: false,
  };
}

const ofOneConnection = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"];
const ofTheClient = ["authorization", "impersonate-", "x-remote-"];

export function remoteHeaders(user: UserInfo): OutgoingHttpHeaders {
  const extra = Object.entries(user.extra ?? {}).map(([key, values]) => [
    `X-Remote-Extra-${encodeURIComponent(key)}`,
    [...values],
  ]);
  return {
    "X-Remote-User": user.username,
    ...(user.groups.length > 0 ? { "X-Remote-Group": [...user.groups] } : {}),
    ...(Object.fromEntries(extra) as OutgoingHttpHeaders),
  };
}

const passes = (name: string): boolean =>
  !ofOneConnection.includes(name) && !ofTheClient.some((start) => name.startsWith(start));

function passedOn(headers: IncomingMessage["headers"]): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => passes(name)));
}

/** @throws ApiError 503 when the server cannot be reached, or ends before it has answered */
export async function pass(
  request: IncomingMessage,
  response: ServerResponse,
  options: RequestOptions,
  user: UserInfo,
): Promise<void> {
  // While its token was looked at: it does not tell so again.
  if (response.destroyed) return;
  const outgoing = httpsRequest({
    ...options,
    method: request.method ?? "GET",
    path: request.url ?? "/",
    headers: { ...passedOn(request.headers), ...remoteHeaders(user) },
  });
  response.once("close", () => outgoing.destroy());
  request.pipe(outgoing);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.on("error", (cause) => reject(unavailable(cause.message)));
  });
  response.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
  answer.pipe(response);
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    answer.once("close", () => {
      if (!answer.complete) response.destroy();
    });
  });
}

export const unavailable = (why: string): ApiError =>
  new ApiError(503, "ServiceUnavailable", `service unavailable: ${why}`);
