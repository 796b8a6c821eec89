// Who asks, as the cluster's API server tells it: a request passed on bears the user in headers, and the API server proves
// itself by a client certificate whose authority and name stand in kube-system/extension-apiserver-authentication.
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { ConfigMap } from "../api/core.ts";

export interface FrontProxy {
  /** PEM; "" when the cluster names none, and nobody can prove anything. */
  clientCa: string;
  /** Common names; empty: any. */
  allowedNames: readonly string[];
  usernameHeaders: readonly string[];
  groupHeaders: readonly string[];
  extraPrefixes: readonly string[];
}

export interface User {
  name: string;
  groups: string[];
  extra: Record<string, string[]>;
}

export const frontProxyConfigMap = { namespace: "kube-system", name: "extension-apiserver-authentication" } as const;

/** @throws SyntaxError for a list that is no JSON */
export function frontProxyFrom(map: ConfigMap | undefined): FrontProxy {
  const list = (key: string, otherwise: string[]): string[] => {
    const text = map?.data?.[key];
    return text === undefined ? otherwise : (JSON.parse(text) as string[]).map(String);
  };
  return {
    clientCa: map?.data?.["requestheader-client-ca-file"] ?? "",
    allowedNames: list("requestheader-allowed-names", []),
    usernameHeaders: list("requestheader-username-headers", ["X-Remote-User"]),
    groupHeaders: list("requestheader-group-headers", ["X-Remote-Group"]),
    extraPrefixes: list("requestheader-extra-headers-prefix", ["X-Remote-Extra-"]),
  };
}

/** @returns undefined unless the connection is the API server's own and names a user */
export function userOf(request: IncomingMessage, proxy: FrontProxy): User | undefined {
  const socket = request.socket as TLSSocket;
  if (proxy.clientCa === "" || !socket.authorized) return undefined;
  const { CN } = (socket.getPeerCertificate().subject ?? {}) as { CN?: string | string[] };
  const names = [CN ?? []].flat();
  if (proxy.allowedNames.length > 0 && !names.some((name) => proxy.allowedNames.includes(name))) return undefined;
  return userIn(request.headersDistinct, proxy);
}

/** @param headers by lower-case name */
export function userIn(headers: NodeJS.Dict<string[]>, proxy: FrontProxy): User | undefined {
  const first = proxy.usernameHeaders.map((name) => headers[name.toLowerCase()]?.[0] ?? "").find((name) => name !== "");
  if (first === undefined) return undefined;
  const extra: Record<string, string[]> = {};
  for (const prefix of proxy.extraPrefixes.map((one) => one.toLowerCase())) {
    for (const [name, values = []] of Object.entries(headers)) {
      if (!name.startsWith(prefix)) continue;
      const key = decoded(name.slice(prefix.length));
      extra[key] = [...(extra[key] ?? []), ...values];
    }
  }
  return { name: first, groups: proxy.groupHeaders.flatMap((name) => headers[name.toLowerCase()] ?? []), extra };
}

/** Keys are escaped as in URLs; one that is not comes as it is. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
