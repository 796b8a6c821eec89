// Who is asking: a client certificate of our authority, a ServiceAccount's token, or nobody in particular.
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { unauthorized } from "../errors.ts";
import type { AccountTokens } from "./account-tokens.ts";
import { anonymous, authenticated, unauthenticated, type UserInfo } from "./user.ts";

/** Asked once a connection: reading a certificate takes longer than many a request. */
const known = new WeakMap<TLSSocket, UserInfo | "none" | "bad">();

/** @throws ApiError 401 for credentials that are not good */
export async function userOf(request: IncomingMessage, tokens: AccountTokens): Promise<UserInfo> {
  const certified = certifiedUser(request.socket as TLSSocket);
  if (certified) return certified;
  const [, token] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "") ?? [];
  if (token === undefined) return anonymous;
  const checked = await tokens.check(token);
  if (!checked) throw unauthorized();
  return withAuthenticated(checked.user);
}

export function withAuthenticated(user: UserInfo): UserInfo {
  const known = user.groups.includes(authenticated) || user.groups.includes(unauthenticated);
  return known ? user : { ...user, groups: [...user.groups, authenticated] };
}

function certifiedUser(socket: TLSSocket): UserInfo | undefined {
  let user = known.get(socket);
  if (user === undefined) {
    user = readCertificate(socket);
    known.set(socket, user);
  }
  if (user === "bad") throw unauthorized();
  return user === "none" ? undefined : user;
}

/** The common name is the user, organizations are the groups. */
function readCertificate(socket: TLSSocket): UserInfo | "none" | "bad" {
  const certificate = socket.getPeerCertificate();
  if (Object.keys(certificate).length === 0) return "none";
  if (!socket.authorized) return "bad";
  const { CN, O } = certificate.subject as { CN?: string | string[]; O?: string | string[] };
  const username = [CN].flat()[0];
  if (!username) return "bad";
  return withAuthenticated({ username, groups: [O ?? []].flat() });
}
