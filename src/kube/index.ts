// The door of the kube room: a Kubernetes API as controllers see it.
export type { KubeClient } from "./client.ts";
export * from "./types.ts";
export { clientNodeClient, type ClusterAccess } from "./client-node.ts";
export { startCache, type Cache, type CacheOptions, type Change, type IndexOf } from "./cache.ts";
export { createWorkqueue, type Workqueue } from "./workqueue.ts";
export { createApply, shownStep, StepRefused, type Apply } from "./apply.ts";
export { eventName } from "./events.ts";
export { runController, type Controller, type Running, type Watched } from "./runner.ts";
export { leadWithLease, type LeaseOptions } from "./lease.ts";
export { isSame, mergeDiff } from "./merge-diff.ts";
export { jsonLines } from "./json-lines.ts";
export { collectionPath, objectPath } from "./paths.ts";
