// What is served right now: the built-in kinds and those of the CustomResourceDefinitions in the store. A definition is
// served from the moment its write is acknowledged, and no longer once it is gone.
import { kinds } from "../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../api/meta.ts";
import type { Log } from "../../lib/log.ts";
import type { Row, Store } from "../store/index.ts";
import { builtins } from "./builtins/index.ts";
import { isEstablished } from "./crd-names.ts";
import { resourcesOf } from "./custom-resource.ts";
import { noSuchPath } from "./errors.ts";
import { collectionPrefix, type Resource } from "./resource.ts";

export interface Registry {
  find(apiVersion: string, plural: string): Resource | undefined;
  /** By kind, as owner references name it. */
  findKind(apiVersion: string, kind: string): Resource | undefined;
  /** @throws ApiError 404 */
  of(kind: KindRef): Resource;
  all(): Resource[];
  /** Grows with each change: what was made from the list is stale. */
  readonly generation: number;
  close(): void;
}

export function openRegistry(store: Store, log: Log): Registry {
  const definitions = new Map<string, Resource[]>();
  let generation = 1;
  let table = new Map<string, Resource>();

  const rebuild = (): void => {
    generation += 1;
    const resources = [...builtins, ...[...definitions.values()].flat()];
    table = new Map(resources.map((resource) => [`${resource.apiVersion} ${resource.plural}`, resource]));
  };
  const learn = (row: Row): void => {
    try {
      const definition = row.value as unknown as KubeObject;
      definitions.set(row.key, isEstablished(definition) ? resourcesOf(definition) : []);
    } catch (cause) {
      log.error("Custom resource definition cannot be served", { key: row.key, cause });
    }
  };
  const find: Registry["find"] = (apiVersion, plural) => table.get(`${apiVersion} ${plural}`);
  const prefix = collectionPrefix(builtinOf(kinds.crd));
  for (const row of store.list(prefix)) learn(row);
  rebuild();
  const close = store.follow(({ key, now }) => {
    if (!key.startsWith(prefix)) return;
    if (now) learn(now);
    else definitions.delete(key);
    rebuild();
  });
  return {
    find,
    findKind: (apiVersion, kind) =>
      [...table.values()].find((one) => one.apiVersion === apiVersion && one.kind === kind),
    of(kind) {
      const resource = find(kind.apiVersion, kind.plural);
      if (!resource) throw noSuchPath();
      return resource;
    },
    all: () => [...table.values()],
    get generation() {
      return generation;
    },
    close,
  };
}

/** The row of a built-in kind. */
export function builtinOf(kind: KindRef): Resource {
  const found = builtins.find(({ apiVersion, plural }) => apiVersion === kind.apiVersion && plural === kind.plural);
  if (!found) throw new Error(`${kind.kind} is not built in`);
  return found;
}
