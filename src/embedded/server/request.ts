// URL paths of the API, taken apart.
import { noSuchPath } from "./errors.ts";
import type { Registry } from "./registry.ts";
import type { Resource } from "./resource.ts";

export interface Target {
  resource: Resource;
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

/** Subresources of namespaces, which would else read as kinds inside of one. */
const ofNamespaces = ["status", "finalize"];

/**
 * "/api/v1/..." and "/apis/GROUP/VERSION/..." behind the version.
 * @throws ApiError 404
 */
export function targetOf(registry: Registry, apiVersion: string, words: readonly string[]): Target {
  const [first, namespace, third] = words;
  const inside =
    first === "namespaces" && third !== undefined && !(apiVersion === "v1" && ofNamespaces.includes(third));
  const [plural = "", name, subresource, ...more] = inside ? words.slice(2) : words;
  const resource = registry.find(apiVersion, plural);
  if (!resource || more.length > 0) throw noSuchPath();
  // A namespaced kind is listed over all namespaces without one, but never read by name alone.
  if (resource.namespaced !== inside && (inside || name !== undefined)) throw noSuchPath();
  return { resource, namespace: inside ? namespace : undefined, name, subresource };
}
