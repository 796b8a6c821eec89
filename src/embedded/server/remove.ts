// Delete: preconditions, finalizers, propagation, and the grace period of pods.
import { copyJson } from "../../lib/copy-json.ts";
import { stamp } from "../../lib/clock.ts";
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { passAdmission } from "./admit.ts";
import { conflict, forbidden, notFound } from "./errors.ts";
import { keyFor, type Resource } from "./resource.ts";
import { isReleased } from "./write.ts";
import { shownIn, valueOf, type Shown, type World } from "./world.ts";

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
}

export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";
const keptNamespaces = ["default", "kube-system", "kube-public"];

/** @returns the object while something still holds it, undefined once it is gone. @throws ApiError 403, 404, 409 */
export async function deleteObject(
  world: World,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  options: DeleteOptions = {},
): Promise<{ left?: Shown; uid: string }> {
  const key = keyFor(resource, namespace, name);
  const row = world.store.get(key);
  if (!row) throw notFound(resource, name);
  const old = valueOf(row);
  checkDelete(resource, name, old, options);
  passAdmission(world, resource, "DELETE", old, old);
  const uid = old.metadata.uid ?? "";
  const draft = markDeleted(world, old, options);
  if (options.dryRun) return { uid };
  if (isReleased(draft)) {
    await world.store.remove(key, { ifRevision: row.revision });
    return { uid };
  }
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  const marked = draft.metadata;
  const same =
    marked.deletionTimestamp === deletionTimestamp &&
    marked.deletionGracePeriodSeconds === deletionGracePeriodSeconds &&
    marked.finalizers?.length === old.metadata.finalizers?.length;
  if (same) return { uid, left: shownIn(resource, row) };
  const put = await world.store.put(
    key,
    (revision) => ({ ...draft, metadata: { ...draft.metadata, resourceVersion: String(revision) } }),
    { ifRevision: row.revision },
  );
  return { uid, left: shownIn(resource, put) };
}

function checkDelete(
  resource: Resource,
  name: string,
  { metadata }: KubeObject,
  { preconditions }: DeleteOptions,
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid && uid !== metadata.uid) {
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
    );
  }
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
    throw conflict(resource, name, why);
  }
  if (resource.plural === kinds.namespace.plural && keptNamespaces.includes(name)) {
    throw forbidden(resource, name, "this namespace may not be deleted");
  }
}

/** The object with its deletion written down. A later delete may shorten the grace period, never lengthen it. */
function markDeleted(world: World, old: KubeObject, options: DeleteOptions): KubeObject {
  const draft = copyJson(old);
  const { metadata } = draft;
  const grace = graceOf(old, options.gracePeriodSeconds);
  const running = metadata.deletionGracePeriodSeconds ?? Number.POSITIVE_INFINITY;
  if (metadata.deletionTimestamp === undefined || grace < running) {
    metadata.deletionTimestamp = stamp(world.clock.now() + grace * 1000);
    metadata.deletionGracePeriodSeconds = grace;
  }
  const hold = { Foreground: foregroundFinalizer, Orphan: orphanFinalizer, Background: undefined }[
    options.propagationPolicy ?? "Background"
  ];
  if (hold && !metadata.finalizers?.includes(hold)) metadata.finalizers = [...(metadata.finalizers ?? []), hold];
  if (draft.kind === kinds.namespace.kind) draft["status"] = { ...(draft["status"] as object), phase: "Terminating" };
  return draft;
}

/** Only a pod that a node may be running gets time to end. */
function graceOf(object: KubeObject, asked: number | undefined): number {
  if (object.kind !== kinds.pod.kind || object.apiVersion !== kinds.pod.apiVersion) return 0;
  const spec = (object["spec"] ?? {}) as { nodeName?: string; terminationGracePeriodSeconds?: number };
  const { phase } = (object["status"] ?? {}) as { phase?: string };
  if (!spec.nodeName || phase === "Succeeded" || phase === "Failed") return 0;
  return Math.max(0, asked ?? spec.terminationGracePeriodSeconds ?? 30);
}
