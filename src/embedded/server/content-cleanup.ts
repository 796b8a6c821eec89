// What goes with its container: the objects of a namespace under deletion, and those of a definition under deletion. The
// container itself goes when the last of them has left.
import { isConflict, isNotFound } from "../../kube/index.ts";
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import type { Row } from "../store/index.ts";
import { crdFinalizer } from "./builtins/index.ts";
import type { CrdSpec } from "./custom-resource.ts";
import { stamp } from "../../lib/clock.ts";
import { list, strings } from "./builtins/fields.ts";
import { contentConditions } from "./namespace-conditions.ts";
import { replaceObject } from "./write.ts";
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

const namespaceFinalizer = "kubernetes";

/** The namespace goes with the last of its finalizers, of either sort. */
async function dropNamespaceFinalizer(world: World, { metadata, spec }: KubeObject): Promise<void> {
  const finalizers = strings(spec, "finalizers");
  if (finalizers.length > 0 && !finalizers.includes(namespaceFinalizer)) return;
  const kept = finalizers.filter((one) => one !== namespaceFinalizer);
  const change = (old: KubeObject): KubeObject => ({ ...old, spec: { finalizers: kept } });
  await replaceObject(world, namespaces, undefined, metadata.name ?? "", change, { subresource: "finalize" });
}

/** Says in the namespace's conditions what it still holds. */
async function tellContents(
  world: World,
  { metadata, status }: KubeObject,
  left: readonly KubeObject[],
): Promise<void> {
  const known = list(status, "conditions");
  if (left.length === 0 && known.length === 0) return;
  const conditions = contentConditions(left).map((one) => {
    const before = known.find(({ type }) => type === one.type);
    const same = before?.["status"] === one.status && before["message"] === one.message;
    return { lastTransitionTime: same ? before["lastTransitionTime"] : stamp(world.clock.now()), ...one };
  });
  const change = (old: KubeObject): KubeObject => ({ ...old, status: { ...(old["status"] as object), conditions } });
  await replaceObject(world, namespaces, undefined, metadata.name ?? "", change, { subresource: "status" });
}

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
  const left = contentsOf(world, container);
  if (container.kind === kinds.crd.kind) {
    if (left.length === 0) await dropFinalizer(world, definitions, container, crdFinalizer);
    return;
  }
  await tellContents(world, container, left.map(valueOf));
  if (left.length === 0) await dropNamespaceFinalizer(world, container);
}
