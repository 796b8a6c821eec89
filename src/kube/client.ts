// The one view of a Kubernetes API that controllers have. Implemented over HTTPS by client-node.ts (any cluster, embedded
// too) and in process by the embedded server for its own kubelet.
import type { KeyedRef, KubeList, ListOptions, PatchKind, WatchEvent, WriteOptions } from "./types.ts";
import type { KindRef, KubeObject } from "../api/meta.ts";

export interface KubeClient {
  /** @returns undefined when there is no such object (404) */
  get(ref: KeyedRef): Promise<KubeObject | undefined>;
  list(kind: KindRef, options?: ListOptions): Promise<KubeList>;
  /**
   * Events after `resourceVersion`, until the signal aborts or the server ends the watch (then the iteration just ends).
   * @throws KubeError 410 when the version is too old
   */
  watch(
    kind: KindRef,
    options: ListOptions & { resourceVersion: string; signal: AbortSignal },
  ): AsyncIterable<WatchEvent>;
  create(object: KubeObject, kind: KindRef, options?: WriteOptions): Promise<KubeObject>;
  /** Full replacement; metadata.resourceVersion is the precondition. */
  update(object: KubeObject, kind: KindRef, options?: WriteOptions): Promise<KubeObject>;
  patch(ref: KeyedRef, body: object, options: WriteOptions & { type: PatchKind }): Promise<KubeObject>;
  /** Deleting what is not there is no error. `uid` is sent as precondition. */
  delete(ref: KeyedRef, options?: { uid?: string; gracePeriodSeconds?: number }): Promise<void>;
}
