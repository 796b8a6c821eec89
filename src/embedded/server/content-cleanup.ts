// What goes with its container: the objects of a namespace under deletion, and those of a definition under deletion. The
// container itself goes when the last of them has left.
import { isConflict, isNotFound } from "../../kube/index.ts";
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import type { Row } from "../store/index.ts";
import { crdFinalizer } from "./builtins/index.ts";
import type { CrdSpec } from "./custom-resource.ts";
import { dropFinalizer, resourceAt, type Background } from "./garbage-collector.ts";
import { builtinOf } from "./registry.ts";
import { deleteObject } from "./remove.ts";
import { collectionPrefix } from "./resource.ts";
import { valueOf, type World } from "./world.ts";

const namespaces = builtinOf(kinds.namespace);
const definitions = builtinOf(kinds.crd);

export function startContentCleanup(world: World): Background {
  const { store, log } = world;
  let pending = false;
  let closed = false;
  let working: Promise<void> | undefined;

  const work = (): void => {
    pending = true;
    working ??= Promise.resolve().then(async () => {
      while (pending && !closed) {
        pending = false;
        for (const row of dying(world)) {
          await empty(world, row).catch((cause: unknown) => {
            if (!isConflict(cause) && !isNotFound(cause)) log.error("Emptying failed", { key: row.key, cause });
          });
        }
      }
      working = undefined;
    });
  };
  const unfollow = store.follow(({ now }) => {
    const marked = now !== undefined && valueOf(now).metadata.deletionTimestamp !== undefined;
    if (marked || now === undefined) work();
  });
  work();
  return {
    async close() {
      closed = true;
      unfollow();
      await working;
    },
  };
}

const dying = ({ store }: World): Row[] =>
  [namespaces, definitions]
    .flatMap((resource) => store.list(collectionPrefix(resource)))
    .filter((row) => valueOf(row).metadata.deletionTimestamp !== undefined);

const contentsOf = ({ store, registry }: World, container: KubeObject): Row[] => {
  if (container.kind === kinds.crd.kind) {
    const { group, names } = container["spec"] as CrdSpec;
    return store.list(`${group}/${names.plural}/`);
  }
  const namespaced = registry.all().filter((resource) => resource.namespaced);
  return namespaced.flatMap((resource) => store.list(collectionPrefix(resource, container.metadata.name)));
};

async function empty(world: World, row: Row): Promise<void> {
  const container = valueOf(row);
  const contents = contentsOf(world, container);
  await Promise.all(
    contents.map(async (one) => {
      const resource = resourceAt(world, one);
      const { metadata } = valueOf(one);
      if (!resource || metadata.deletionTimestamp !== undefined) return;
      await deleteObject(world, resource, metadata.namespace, metadata.name ?? "");
    }),
  );
  if (contentsOf(world, container).length > 0) return;
  if (container.kind === kinds.crd.kind) await dropFinalizer(world, definitions, container, crdFinalizer);
  else if ((container.metadata.finalizers ?? []).length === 0)
    await world.store.remove(row.key, { ifRevision: row.revision });
}
