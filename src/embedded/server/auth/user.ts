// Who makes a request: authentication.k8s.io's UserInfo, and the names that Kubernetes gives a meaning to.

export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const authenticated = "system:authenticated";
export const unauthenticated = "system:unauthenticated";
/** May do anything, whatever the roles say. */
export const masters = "system:masters";

export const anonymous: UserInfo = { username: "system:anonymous", groups: [unauthenticated] };
/** The server's own work, and that of the node in its process. */
export const systemUser: UserInfo = { username: "system:apiserver", groups: [masters, authenticated] };

const accountPrefix = "system:serviceaccount:";
export const accountUsername = (namespace: string, name: string): string => `${accountPrefix}${namespace}:${name}`;
export const accountGroups = (namespace: string): string[] => [
  "system:serviceaccounts",
  `system:serviceaccounts:${namespace}`,
];

/** @returns undefined for a user who is no ServiceAccount */
export function accountOf(username: string): { namespace: string; name: string } | undefined {
  if (!username.startsWith(accountPrefix)) return undefined;
  const [namespace, name, ...more] = username.slice(accountPrefix.length).split(":");
  return namespace && name && more.length === 0 ? { namespace, name } : undefined;
}
