// All that a claim's upload is decided on, read from the caches; the pod's certificate secret from the API, while a pod waits
// for it.
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, KubeEvent, KubeSecret, Pod, StorageClass } from "../../api/core.ts";
import type { DataVolume } from "../../api/data-volume.ts";
import { kinds } from "../../api/kinds.ts";
import type { Key, KubeObject } from "../../api/meta.ts";
import { usersOf } from "../parts/claim-users.ts";
import { wasFilled } from "../parts/filled-before.ts";
import { scratchClaimName } from "../parts/names.ts";
import { overheadOf } from "../parts/overhead.ts";
import { scratchClassOf } from "../parts/scratch.ts";
import { controllerOf, indexNames, isUploadPod, type World } from "../world.ts";

export interface UploadFacts {
  claim: Claim;
  /** The upload pod this claim controls. */
  pod?: Pod;
  /** The services this claim controls. */
  services: KubeObject[];
  /** The certificate secret of the pod's name, whoever owns it; not looked for once the pod runs. */
  secret?: KubeSecret;
  /** The claim of the scratch space's name, whoever owns it. */
  scratch?: Claim;
  /** Live pods, not ours, that mount the claim: "namespace/name", sorted. */
  users: string[];
  config: CdiConfig | undefined;
  /** Decimal texts. */
  overhead: string;
  scratchOverhead: string;
  /** About the claim, while it is not bound. */
  events: KubeEvent[];
  /** The claim holds its disk, whatever its annotations say. */
  filled: boolean;
}

/** @returns undefined when there is no such claim */
export async function observeUpload(world: World, key: Key): Promise<UploadFacts | undefined> {
  const claim = world.claims.get(key) as Claim | undefined;
  if (!claim) return undefined;
  const uid = claim.metadata.uid ?? "";
  const pod = world.pods.byIndex(indexNames.owner, uid).find(isUploadPod) as Pod | undefined;
  const { namespace } = claim.metadata;
  const within = namespace === undefined ? {} : { namespace };
  const scratch = world.claims.get({ ...within, name: scratchClaimName(key.name) }) as Claim | undefined;
  const config = world.cdiConfigs.get({ name: cdiConfigName }) as CdiConfig | undefined;
  const classes = world.storageClasses.list() as StorageClass[];
  const { storageClassName: className, volumeMode } = claim.spec;
  const secret = isWaiting(pod)
    ? ((await world.client.get({ kind: kinds.secret, ...within, name: pod.metadata.name ?? "" })) as KubeSecret)
    : undefined;
  return {
    claim,
    ...(pod ? { pod } : {}),
    services: world.uploadServices.byIndex(indexNames.owner, uid),
    ...(secret ? { secret } : {}),
    ...(scratch ? { scratch } : {}),
    users: usersOf(world, claim, pod),
    config,
    overhead: overheadOf({ className, volumeMode, config, classes }),
    scratchOverhead: overheadOf({
      className: scratchClassOf(claim, config),
      volumeMode: "Filesystem",
      config,
      classes,
    }),
    events: claim.status?.phase === "Bound" ? [] : (world.claimEvents.byIndex(indexNames.about, uid) as KubeEvent[]),
    filled: wasFilled(ownerOf(world, claim), claim),
  };
}

/** A pod that has not started yet mounts its secret still. */
export const isWaiting = (pod: Pod | undefined): pod is Pod =>
  pod !== undefined && pod.metadata.deletionTimestamp === undefined && (pod.status?.phase ?? "Pending") === "Pending";

function ownerOf(world: World, claim: Claim): DataVolume | undefined {
  const owner = controllerOf(claim);
  if (owner?.kind !== kinds.dataVolume.kind) return undefined;
  const { namespace } = claim.metadata;
  return world.dataVolumes.get({ name: owner.name, ...(namespace === undefined ? {} : { namespace }) }) as
    DataVolume | undefined;
}
