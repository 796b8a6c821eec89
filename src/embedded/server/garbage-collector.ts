// Owner garbage collection: an object whose owners are all gone is deleted, in the background and driven by the store's
// changes. Foreground and orphan deletion of an owner end here too. Source: Kubernetes' garbage collection.
import { isConflict, isNotFound } from "../../kube/index.ts";
import type { KubeObject, OwnerReference } from "../../api/meta.ts";
import type { Change, Row } from "../store/index.ts";
import { deleteObject, foregroundFinalizer, orphanFinalizer } from "./remove.ts";
import { collectionPrefix, type Resource } from "./resource.ts";
import { replaceObject } from "./write.ts";
import { valueOf, type World } from "./world.ts";

export interface Background {
  /** Resolves when the work under way is done. */
  close(): Promise<void>;
}

export function startGarbageCollector(world: World): Background {
  const { store, log } = world;
  const keyOfUid = new Map<string, string>();
  const dependentsOf = new Map<string, Set<string>>();
  /** Objects to look at; a set, so that a burst of changes means one look. */
  const due = new Set<string>();
  let working: Promise<void> | undefined;
  let closed = false;

  const learn = (row: Row): void => {
    const { uid = "", ownerReferences = [] } = valueOf(row).metadata;
    keyOfUid.set(uid, row.key);
    for (const owner of ownerReferences) {
      const known = dependentsOf.get(owner.uid) ?? new Set();
      dependentsOf.set(owner.uid, known.add(row.key));
    }
  };
  const forgetOwners = (row: Row): void => {
    for (const { uid } of valueOf(row).metadata.ownerReferences ?? []) {
      const known = dependentsOf.get(uid);
      known?.delete(row.key);
      if (known?.size === 0) dependentsOf.delete(uid);
    }
  };
  const see = ({ key, now, before }: Change): void => {
    if (before) forgetOwners(before);
    if (now) {
      learn(now);
      if (isOfInterest(valueOf(now))) due.add(key);
    } else if (before) {
      const { uid = "", ownerReferences = [] } = valueOf(before).metadata;
      keyOfUid.delete(uid);
      for (const dependent of dependentsOf.get(uid) ?? []) due.add(dependent);
      // An owner that waits for its dependents looks again.
      for (const owner of ownerReferences) due.add(keyOfUid.get(owner.uid) ?? "");
    }
    work();
  };
  const work = (): void => {
    if (closed || due.size === 0) return;
    working ??= Promise.resolve().then(async () => {
      while (due.size > 0 && !closed) {
        const batch = [...due];
        due.clear();
        await Promise.all(batch.map((key) => settle(key)));
      }
      working = undefined;
    });
  };
  const settle = async (key: string): Promise<void> => {
    const row = store.get(key);
    const resource = row && resourceAt(world, row);
    if (!row || !resource) return;
    try {
      await collect(world, resource, valueOf(row), {
        exists: (uid) => keyOfUid.has(uid) && store.get(keyOfUid.get(uid) ?? "") !== undefined,
        dependents: (uid) => [...(dependentsOf.get(uid) ?? [])].flatMap((one) => store.get(one) ?? []),
      });
    } catch (cause) {
      // Someone else was faster: their change brings us back.
      if (isConflict(cause) || isNotFound(cause)) return;
      log.error("Garbage collection failed", { key, cause });
    }
  };

  for (const row of store.list("")) learn(row);
  for (const row of store.list("")) if (isOfInterest(valueOf(row))) due.add(row.key);
  const unfollow = store.follow(see);
  work();
  return {
    async close() {
      closed = true;
      unfollow();
      await working;
    },
  };
}

interface Relations {
  exists(uid: string): boolean;
  dependents(uid: string): Row[];
}

const isOfInterest = ({ metadata }: KubeObject): boolean =>
  (metadata.ownerReferences ?? []).length > 0 || metadata.deletionTimestamp !== undefined;

export function resourceAt(world: World, row: Row): Resource | undefined {
  const { apiVersion, kind } = valueOf(row);
  const resource = world.registry.findKind(apiVersion, kind);
  return resource && row.key.startsWith(collectionPrefix(resource)) ? resource : undefined;
}

async function collect(world: World, resource: Resource, object: KubeObject, relations: Relations): Promise<void> {
  const { metadata } = object;
  const { name = "", namespace, uid = "", ownerReferences = [], finalizers = [], deletionTimestamp } = metadata;
  if (deletionTimestamp !== undefined && finalizers.includes(foregroundFinalizer)) {
    await deleteDependents(world, uid, relations);
    const blocking = relations.dependents(uid).some((row) => refersTo(valueOf(row), uid)?.blockOwnerDeletion === true);
    if (!blocking) await dropFinalizer(world, resource, object, foregroundFinalizer);
    return;
  }
  if (deletionTimestamp !== undefined && finalizers.includes(orphanFinalizer)) {
    for (const row of relations.dependents(uid)) await dropOwners(world, row, [uid]);
    await dropFinalizer(world, resource, object, orphanFinalizer);
    return;
  }
  const absent = ownerReferences.filter((owner) => !relations.exists(owner.uid));
  if (absent.length === 0 || deletionTimestamp !== undefined) return;
  if (absent.length < ownerReferences.length) {
    const row = relations.dependents(absent[0]?.uid ?? "").find((one) => valueOf(one).metadata.uid === uid);
    if (row)
      await dropOwners(
        world,
        row,
        absent.map((owner) => owner.uid),
      );
    return;
  }
  world.log.info("Deleting object whose owners are gone", { kind: resource.kind, namespace, name });
  await deleteObject(world, resource, namespace, name, { preconditions: { uid } });
}

const refersTo = ({ metadata }: KubeObject, uid: string): OwnerReference | undefined =>
  metadata.ownerReferences?.find((owner) => owner.uid === uid);

/** Foreground reaches all the way down. */
async function deleteDependents(world: World, uid: string, relations: Relations): Promise<void> {
  for (const row of relations.dependents(uid)) {
    const { metadata } = valueOf(row);
    const resource = resourceAt(world, row);
    if (!resource || metadata.deletionTimestamp !== undefined) continue;
    const preconditions = metadata.uid === undefined ? {} : { uid: metadata.uid };
    const deeper = relations.dependents(metadata.uid ?? "").length > 0;
    await deleteObject(world, resource, metadata.namespace, metadata.name ?? "", {
      preconditions,
      ...(deeper ? { propagationPolicy: "Foreground" } : {}),
    });
  }
}

async function dropOwners(world: World, row: Row, uids: readonly string[]): Promise<void> {
  const resource = resourceAt(world, row);
  const { namespace, name = "" } = valueOf(row).metadata;
  if (!resource) return;
  await replaceObject(world, resource, namespace, name, (old) => {
    const left = old.metadata.ownerReferences?.filter(({ uid }) => !uids.includes(uid)) ?? [];
    const { ownerReferences: _dropped, ...metadata } = old.metadata;
    return { ...old, metadata: left.length > 0 ? { ...metadata, ownerReferences: left } : metadata };
  });
}

export async function dropFinalizer(
  world: World,
  resource: Resource,
  { metadata }: KubeObject,
  finalizer: string,
): Promise<void> {
  await replaceObject(world, resource, metadata.namespace, metadata.name ?? "", (old) => ({
    ...old,
    metadata: { ...old.metadata, finalizers: old.metadata.finalizers?.filter((one) => one !== finalizer) ?? [] },
  }));
}
