// Watches over the store's changes: from a revision on, without gap or repetition, seen through a selector.
import type { KubeObject } from "../../api/meta.ts";
import type { Change } from "../store/index.ts";
import { expired } from "./errors.ts";
import { listObjects, selecting, type Selection } from "./read.ts";
import { collectionPrefix, type Resource } from "./resource.ts";
import { inVersion, shownIn, shownValue, valueOf, type Shown, type World } from "./world.ts";

export type WatchType = "ADDED" | "MODIFIED" | "DELETED";
export type Sink = (type: WatchType, shown: Shown) => void;

export interface WatchRequest extends Selection {
  namespace?: string | undefined;
  /** Absent: everything there is comes first, as ADDED. */
  from?: number | undefined;
}

/** The last state of a removed object carries the revision of its removal. Made once for all watchers. */
const tombstones = new WeakMap<Change, Shown>();
function tombstone(change: Change, before: KubeObject): Shown {
  const known = tombstones.get(change);
  if (known) return known;
  const made = shownValue({ ...before, metadata: { ...before.metadata, resourceVersion: String(change.revision) } });
  tombstones.set(change, made);
  return made;
}

/**
 * Delivers what is due at once, then each change when it is durable, until the returned function is called.
 * @throws ApiError 410 when the revision is older than the history, or was never given
 */
export function openWatch(world: World, resource: Resource, request: WatchRequest, sink: Sink): () => void {
  const { store } = world;
  const { namespace, from } = request;
  const fits = selecting(resource, request) ?? (() => true);
  const prefix = collectionPrefix(resource, namespace);
  let seen = from ?? store.revision;
  const missed = from === undefined ? [] : store.since(from);
  if (!missed || seen > store.revision) throw expired(seen, store.revision);

  const deliver = (change: Change): void => {
    if (change.revision <= seen) return;
    seen = change.revision;
    if (!change.key.startsWith(prefix)) return;
    const { now, before } = change;
    const is = now !== undefined && fits(valueOf(now));
    const was = before !== undefined && fits(valueOf(before));
    if (is && now) sink(was ? "MODIFIED" : "ADDED", shownIn(resource, now));
    // Out of the selector's sight is gone, for this watcher; it gets the state in which it was last seen.
    else if (was && before) {
      const last = tombstone(change, valueOf(before));
      const shown = inVersion(resource, last.value);
      sink("DELETED", shown === last.value ? last : shownValue(shown));
    }
  };

  if (from === undefined)
    for (const item of listObjects(world, resource, namespace, request).items) sink("ADDED", item);
  for (const change of missed) deliver(change);
  return store.follow(deliver);
}
