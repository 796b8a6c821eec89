// A request as authorization sees it: who does what to which resource, or to which path. Source: apiserver's RequestInfo.
import { forbiddenAttributes } from "../errors.ts";
import type { ApiError } from "../errors.ts";
import type { UserInfo } from "./user.ts";

export interface ResourceAttributes {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  /** "": at the cluster scope, or over all namespaces. */
  readonly namespace: string;
  readonly name: string;
}
export interface PathAttributes {
  readonly verb: string;
  readonly path: string;
}
export type Attributes = ResourceAttributes | PathAttributes;

export const isPath = (attributes: Attributes): attributes is PathAttributes => "path" in attributes;

const verbOf: Readonly<Record<string, string>> = {
  GET: "get",
  HEAD: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
/** Below a namespace these are its own parts; all else is a kind inside of it. */
const ofNamespaces = ["status", "finalize"];

export const isWatch = (query: URLSearchParams): boolean => ["true", "1"].includes(query.get("watch") ?? "");

/** @param words the path, split and decoded */
export function attributesOf(
  method: string,
  path: string,
  words: readonly string[],
  query: URLSearchParams,
): Attributes {
  const [prefix, ...rest] = words;
  const core = prefix === "api";
  if ((!core && prefix !== "apis") || rest.length < (core ? 2 : 3)) return { verb: method.toLowerCase(), path };
  const [group = "", version = "", ...parts] = core ? ["", ...rest] : rest;
  const namespace = parts[0] === "namespaces" ? (parts[1] ?? "") : "";
  const inside = namespace !== "" && parts[2] !== undefined && !ofNamespaces.includes(parts[2]);
  const [resource = "", name = "", subresource = ""] = inside ? parts.slice(2) : parts;
  const plain = verbOf[method] ?? "";
  const verb =
    name !== "" || (plain !== "get" && plain !== "delete")
      ? plain
      : plain === "delete"
        ? "deletecollection"
        : isWatch(query)
          ? "watch"
          : "list";
  const selected = /^metadata\.name==?([^,]+)$/.exec(query.get("fieldSelector") ?? "")?.[1];
  const named = name === "" && (verb === "list" || verb === "watch") ? (selected ?? "") : name;
  return { verb, group, version, resource, subresource, namespace, name: named };
}

/** What RBAC's 403 says. @param reason why, where there is more to say than that no rule allows it */
export function refusalOf(user: UserInfo, attributes: Attributes, reason = ""): ApiError {
  const because = reason === "" ? "" : `: ${reason}`;
  const who = `User ${JSON.stringify(user.username)} cannot ${attributes.verb}`;
  if (isPath(attributes)) return forbiddenAttributes({}, `${who} path ${JSON.stringify(attributes.path)}${because}`);
  const { group, resource, subresource, namespace, name } = attributes;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(namespace)}`;
  const why = `${who} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${because}`;
  return forbiddenAttributes({ group, resource, name }, why);
}
