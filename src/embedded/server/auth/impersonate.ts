// Impersonation: "kubectl --as". Whoever may impersonate another is that other for one request. Source: apiserver's filter.
import { ApiError } from "../errors.ts";
import type { World } from "../world.ts";
import type { ResourceAttributes } from "./attributes.ts";
import { mustBeAllowed } from "./authorize.ts";
import { accountGroups, accountOf, anonymous, authenticated, unauthenticated, type UserInfo } from "./user.ts";

export type ManyHeaders = NodeJS.Dict<string[]>;

const extraPrefix = "impersonate-extra-";

/** @returns the user to be for this request. @throws ApiError 403, 500 for groups or extras without a user */
export function impersonated(world: Pick<World, "store">, user: UserInfo, headers: ManyHeaders): UserInfo {
  const username = headers["impersonate-user"]?.[0] ?? "";
  const groups = headers["impersonate-group"] ?? [];
  const uid = headers["impersonate-uid"]?.[0] ?? "";
  const extra = Object.fromEntries(
    Object.entries(headers).flatMap(([name, values = []]): [string, string[]][] =>
      name.startsWith(extraPrefix) ? [[decodeURIComponent(name.slice(extraPrefix.length)), values]] : [],
    ),
  );
  const more = groups.length > 0 || uid !== "" || Object.keys(extra).length > 0;
  if (username === "") {
    if (!more) return user;
    throw new ApiError(500, "InternalError", "Internal error occurred: requested headers without impersonating a user");
  }
  const account = accountOf(username);
  const may = (one: Partial<ResourceAttributes>): void => {
    const none = { group: "", version: "", resource: "", subresource: "", namespace: "", name: "" };
    mustBeAllowed(world, user, { ...none, ...one, verb: "impersonate" });
  };
  if (account) may({ version: "v1", resource: "serviceaccounts", ...account });
  else may({ version: "v1", resource: "users", name: username });
  for (const name of groups) may({ version: "v1", resource: "groups", name });
  const ofAuthentication = { group: "authentication.k8s.io", version: "v1" };
  for (const [subresource, values] of Object.entries(extra))
    for (const name of values) may({ ...ofAuthentication, resource: "userextras", subresource, name });
  if (uid !== "") may({ ...ofAuthentication, resource: "uids", name: uid });
  const given = groups.length === 0 && account ? accountGroups(account.namespace) : groups;
  const everybody = username === anonymous.username ? unauthenticated : authenticated;
  return {
    username,
    ...(uid === "" ? {} : { uid }),
    groups: given.includes(everybody) ? given : [...given, everybody],
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}
