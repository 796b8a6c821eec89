// All that a claim's upload is decided on, read from the caches; the pod's certificate secret from the API, while a pod waits
// for it.
import type { KubeSecret, Pod } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Key, KubeObject } from "../../api/meta.ts";
import { observeWorker, withinOf, type WorkerFacts } from "../parts/worker-facts.ts";
import { indexNames, isUploadPod, type World } from "../world.ts";

export interface UploadFacts extends WorkerFacts {
  /** The services this claim controls. */
  services: KubeObject[];
  /** The certificate secret of the pod's name, whoever owns it; not looked for once the pod runs. */
  secret?: KubeSecret;
}

/** @returns undefined when there is no such claim */
export async function observeUpload(world: World, key: Key): Promise<UploadFacts | undefined> {
  const facts = observeWorker(world, key, isUploadPod);
  if (!facts) return undefined;
  const { claim, pod } = facts;
  const secret = isWaiting(pod)
    ? ((await world.client.get({
        kind: kinds.secret,
        ...withinOf(claim),
        name: pod.metadata.name ?? "",
      })) as KubeSecret)
    : undefined;
  return {
    ...facts,
    services: world.uploadServices.byIndex(indexNames.owner, claim.metadata.uid ?? ""),
    ...(secret ? { secret } : {}),
  };
}

/** A pod that has not started yet mounts its secret still. */
export const isWaiting = (pod: Pod | undefined): pod is Pod =>
  pod !== undefined && pod.metadata.deletionTimestamp === undefined && (pod.status?.phase ?? "Pending") === "Pending";
