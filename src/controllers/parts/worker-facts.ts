// What every claim that a pod of ours fills is decided on, whether the pod fetches or is sent the bytes: read from the caches.
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, KubeEvent, Pod, StorageClass } from "../../api/core.ts";
import type { DataVolume } from "../../api/data-volume.ts";
import { kinds } from "../../api/kinds.ts";
import type { Key, KubeObject } from "../../api/meta.ts";
import { controllerOf, indexNames, type World } from "../world.ts";
import { usersOf } from "./claim-users.ts";
import { wasFilled } from "./filled-before.ts";
import { scratchClaimName } from "./names.ts";
import { overheadOf } from "./overhead.ts";
import { scratchClassOf } from "./scratch.ts";

export interface WorkerFacts {
  claim: Claim;
  /** The worker pod this claim controls. */
  pod?: Pod;
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

/** @param isWorker knows the pods that fill it @returns undefined when there is no such claim */
export function observeWorker(world: World, key: Key, isWorker: (pod: KubeObject) => boolean): WorkerFacts | undefined {
  const claim = world.claims.get(key) as Claim | undefined;
  if (!claim) return undefined;
  const uid = claim.metadata.uid ?? "";
  const pod = world.pods.byIndex(indexNames.owner, uid).find(isWorker) as Pod | undefined;
  const scratch = world.claims.get({ ...withinOf(claim), name: scratchClaimName(key.name) }) as Claim | undefined;
  const config = world.cdiConfigs.get({ name: cdiConfigName }) as CdiConfig | undefined;
  const classes = world.storageClasses.list() as StorageClass[];
  const { storageClassName: className, volumeMode } = claim.spec;
  return {
    claim,
    ...(pod ? { pod } : {}),
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

/** The claim's namespace, where it has one. */
export const withinOf = ({ metadata: { namespace } }: Claim): { namespace?: string } =>
  namespace === undefined ? {} : { namespace };

function ownerOf(world: World, claim: Claim): DataVolume | undefined {
  const owner = controllerOf(claim);
  if (owner?.kind !== kinds.dataVolume.kind) return undefined;
  return world.dataVolumes.get({ ...withinOf(claim), name: owner.name }) as DataVolume | undefined;
}
