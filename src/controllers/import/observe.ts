// All that a claim's import is decided on, read from the caches.
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, ConfigMap, KubeEvent, Pod, StorageClass } from "../../api/core.ts";
import type { DataVolume } from "../../api/data-volume.ts";
import { kinds } from "../../api/kinds.ts";
import type { Key } from "../../api/meta.ts";
import type { ControllerOptions } from "../options.ts";
import { wasFilled } from "../parts/filled-before.ts";
import { overheadOf } from "../parts/overhead.ts";
import { scratchClaimName } from "../parts/names.ts";
import { hasDelivered } from "../parts/scrape.ts";
import { controllerOf, indexNames, isImporterPod, type World } from "../world.ts";
import { usersOf } from "../parts/claim-users.ts";
import { scratchClassOf } from "../parts/scratch.ts";
import type { ProgressWatch } from "./progress.ts";

export interface ImportFacts {
  claim: Claim;
  /** The importer pod this claim controls. */
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
  /** The claim holds a finished import, whatever its annotations say. */
  filled: boolean;
  /** The running container has had bytes from its source. */
  delivering: boolean;
  /** What the kubelet last said of a volume it could not mount, while the pod waits. */
  mountFailure?: string;
  /** The proxy's CA bundle, looked for only while a new pod may need its copy. */
  proxyCa?: ConfigMap;
}

/** @returns undefined when there is no such claim */
export async function observeImport(
  world: World,
  progress: ProgressWatch,
  key: Key,
  options: ControllerOptions,
): Promise<ImportFacts | undefined> {
  const claim = world.claims.get(key) as Claim | undefined;
  if (!claim) return undefined;
  const pod = world.pods.byIndex(indexNames.owner, claim.metadata.uid ?? "").find(isImporterPod) as Pod | undefined;
  const namespace = claim.metadata.namespace;
  const within = namespace === undefined ? {} : { namespace };
  const scratch = world.claims.get({ ...within, name: scratchClaimName(key.name) }) as Claim | undefined;
  const config = world.cdiConfigs.get({ name: cdiConfigName }) as CdiConfig | undefined;
  const classes = world.storageClasses.list() as StorageClass[];
  const { storageClassName: className, volumeMode } = claim.spec;
  const proxyCa = await proxyCaFor(world, config, pod, options);
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
    events: claim.status?.phase === "Bound" ? [] : eventsAbout(world, claim),
    filled: wasFilled(ownerOf(world, claim), claim),
    delivering: pod !== undefined && hasDelivered(progress.readingOf(pod)),
    ...mountFailureOf(world, pod),
    ...(proxyCa ? { proxyCa } : {}),
  };
}

function mountFailureOf(world: World, pod: Pod | undefined): Pick<ImportFacts, "mountFailure"> {
  if (!pod || (pod.status?.phase ?? "Pending") !== "Pending") return {};
  const told = world.mountEvents.byIndex(indexNames.about, pod.metadata.uid ?? "") as KubeEvent[];
  const last = told.toSorted((a, b) => ((a.lastTimestamp ?? "") < (b.lastTimestamp ?? "") ? 1 : -1))[0];
  return last?.message === undefined ? {} : { mountFailure: last.message };
}

const eventsAbout = (world: World, { metadata }: Claim): KubeEvent[] =>
  world.claimEvents.byIndex(indexNames.about, metadata.uid ?? "") as KubeEvent[];

function ownerOf(world: World, claim: Claim): DataVolume | undefined {
  const owner = controllerOf(claim);
  if (owner?.kind !== kinds.dataVolume.kind) return undefined;
  const { namespace } = claim.metadata;
  return world.dataVolumes.get({ name: owner.name, ...(namespace === undefined ? {} : { namespace }) }) as
    DataVolume | undefined;
}

async function proxyCaFor(
  world: World,
  config: CdiConfig | undefined,
  pod: Pod | undefined,
  options: ControllerOptions,
): Promise<ConfigMap | undefined> {
  const name = config?.status?.importProxy?.trustedCAProxy;
  if (!name || !pod || (pod.status?.phase ?? "Pending") !== "Pending") return undefined;
  return (await world.client.get({ kind: kinds.configMap, namespace: options.cdiNamespace, name })) as
    ConfigMap | undefined;
}
