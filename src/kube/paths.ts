// Where the API server serves a kind: paths and query strings, pure.
import type { KeyedRef, ListOptions } from "./types.ts";
import type { KindRef } from "../api/meta.ts";

function rootOf(kind: KindRef): string {
  return kind.apiVersion.includes("/") ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
}

/** Path of the collection; all namespaces when `namespace` is undefined. */
export function collectionPath(kind: KindRef, namespace?: string): string {
  const scope = kind.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${rootOf(kind)}${scope}/${kind.plural}`;
}

export function objectPath(ref: KeyedRef, subresource?: string): string {
  const path = `${collectionPath(ref.kind, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

/** @returns "" or "?a=b&c=d"; undefined values are left out */
export function queryOf(options: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return text ? `?${text}` : "";
}

export const listQuery = (options: ListOptions): Record<string, string | number | undefined> => ({
  labelSelector: options.labelSelector,
  fieldSelector: options.fieldSelector,
  limit: options.limit,
  continue: options.continue,
});
