// The door of volumes: the provisioner and binder of embedded mode, and the way pods reach a claim's bytes.
import { kinds } from "../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../api/meta.ts";
import { startCache, type Cache, type KubeClient } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import { runKeyed } from "../keyed.ts";
import { createTeller } from "../tell.ts";
import { createAttachments, type Attachment } from "./attach.ts";
import {
  backingPath,
  createBacking,
  listBackings,
  ownFolder,
  removeBacking,
  wholeSize,
  type VolumeMode,
} from "./backing.ts";
import { reconcileClaim, reconcileVolume, shownClaim, type BinderWorld } from "./binder.ts";
import { findRoad, type Road } from "./isolation.ts";
import { detachLeftovers } from "./loop.ts";
import {
  isOurs,
  modeOf,
  pathOf,
  provisionedVolume,
  refersTo,
  requestOf,
  volumeNameFor,
  type Claim,
  type Volume,
} from "./objects.ts";

export type { Access, Attachment } from "./attach.ts";
export type { VolumeMode } from "./backing.ts";
export type { Road } from "./isolation.ts";
export { annotations as volumeAnnotations, embeddedProvisioner } from "./objects.ts";

export interface VolumesOptions {
  client: KubeClient;
  /** Holds one folder per volume; created if absent. */
  dir: string;
  clock: Clock;
  log: Log;
  /** Found out by trying when absent. */
  road?: Road;
}

export interface Volumes {
  readonly road: Road;
  /** Makes a bound claim's volume reachable. @throws Error with a sentence for the pod's FailedMount event */
  attach(claim: KubeObject): Promise<Attachment>;
  /** Where a claim's bytes are: a file (image or raw device) or a folder. Undefined when it has no volume. */
  describe(claimUid: string): { backingFile: string; mode: VolumeMode } | undefined;
  close(): Promise<void>;
}

/** Serves the provisioner `cdi.kubevirt.io/embedded`; binds static volumes too. */
export async function startVolumes({ client, clock, log, ...options }: VolumesOptions): Promise<Volumes> {
  const dir = await ownFolder(options.dir);
  const road = options.road ?? (await findRoad(dir, log));
  const attachments = createAttachments(road === "device", log, (volume) => addVolumesClaim(volume));
  if (road === "device") {
    const left = await detachLeftovers(dir);
    if (left.length > 0) log.info("Detached loop devices of an earlier run", { devices: left });
  }
  const stop = new AbortController();
  const caches: (Cache & { stopped: Promise<void> })[] = [];
  function cacheOf(kind: KindRef): Cache {
    const cache = startCache({ client, kind, clock, log }, stop.signal);
    caches.push(cache);
    return cache;
  }
  const claims = cacheOf(kinds.claim);
  const volumes = cacheOf(kinds.volume);
  const classes = cacheOf(kinds.storageClass);
  const pods = cacheOf(kinds.pod);
  await Promise.all(caches.map((cache) => cache.synced()));

  const teller = createTeller(client, "persistentvolume-controller", "embedded", clock, log);
  const world: BinderWorld = {
    client,
    claims,
    volumes,
    classes,
    teller,
    isInUse: (claim) => pods.list().some((pod) => isUsedBy(pod, claim)),
    async provision(claim, storage) {
      const path = backingPath(dir, volumeNameFor(claim), modeOf(claim), road);
      log.info("Making a volume", { claim: shownClaim(claim), volume: volumeNameFor(claim), mode: modeOf(claim) });
      await createBacking(path, wholeSize(requestOf(claim) ?? 0));
      return provisionedVolume(claim, storage, path, "embedded");
    },
    grow: (volume, sizeBytes) => {
      const name = volume.metadata.name ?? "";
      log.info("Growing a volume", { volume: name, sizeBytes });
      return attachments.grow(name, { path: pathOf(volume) ?? "", mode: modeOf(volume), sizeBytes, ours: true });
    },
    async remove(name) {
      log.info("Removing a volume", { volume: name });
      await attachments.idle(name);
      await removeBacking(dir, name);
    },
  };
  /** Bytes that no object names: of a claim whose volume object was deleted first, or left by a crash. */
  async function removeOrphan(name: string): Promise<void> {
    if (!name.startsWith("pvc-") || (await client.get({ kind: kinds.volume, name }))) return;
    if ((claims.list() as Claim[]).some((claim) => volumeNameFor(claim) === name)) return;
    await world.remove(name);
  }
  for (const name of await listBackings(dir)) await removeOrphan(name);

  const work = runKeyed(
    async (key) => {
      const [kind, namespace = "", name = ""] = key.split("/");
      if (kind === "claim") await reconcileClaim(world, namespace, name);
      if (kind === "volume") await reconcileVolume(world, name);
      if (kind === "backing") await removeOrphan(name);
    },
    4,
    clock,
    log,
  );
  const addClaim = (namespace = "", name = "") => work.add(`claim/${namespace}/${name}`);
  const addVolume = (name = "") => work.add(`volume//${name}`);
  function addVolumesClaim(volumeName: string): void {
    const volume = volumes.get({ name: volumeName }) as Volume | undefined;
    addClaim(volume?.spec.claimRef?.namespace, volume?.spec.claimRef?.name);
  }
  claims.onChange(({ before, after }) => {
    const { namespace, name } = (after ?? before)?.metadata ?? {};
    addClaim(namespace, name);
    if (after && after.metadata.uid === before?.metadata.uid) return;
    if (before) work.add(`backing//${volumeNameFor(before as Claim)}`);
    for (const volume of volumes.list() as Volume[]) {
      const { claimRef } = volume.spec;
      if (claimRef?.namespace === namespace && claimRef?.name === name) addVolume(volume.metadata.name);
    }
  });
  volumes.onChange(({ before, after }) => {
    const volume = (after ?? before) as Volume;
    if (after) addVolume(volume.metadata.name);
    const { claimRef } = volume.spec;
    if (claimRef) addClaim(claimRef.namespace, claimRef.name);
    else addPending();
    const formerRef = (before as Volume | undefined)?.spec.claimRef;
    if (formerRef && formerRef.uid !== claimRef?.uid) addClaim(formerRef.namespace, formerRef.name);
  });
  classes.onChange(() => addPending());
  pods.onChange(({ before, after }) => {
    if (after && !isDone(after)) return;
    for (const name of claimNames((after ?? before) as KubeObject))
      addClaim((after ?? before)?.metadata.namespace, name);
  });
  function addPending(): void {
    for (const claim of claims.list() as Claim[]) {
      if (!claim.spec.volumeName) addClaim(claim.metadata.namespace, claim.metadata.name);
    }
  }

  const volumeOf = (claim: Claim): Volume | undefined =>
    volumes.get({ name: claim.spec.volumeName ?? "" }) as Volume | undefined;

  return {
    road,
    async attach(object) {
      const claim = object as Claim;
      const name = claim.spec.volumeName ?? "";
      // The pod may be ahead of our cache.
      const volume = volumeOf(claim) ?? ((await client.get({ kind: kinds.volume, name })) as Volume | undefined);
      if (!volume || !refersTo(volume.spec.claimRef, claim)) {
        throw new Error(`claim ${shownClaim(claim)} has no volume`);
      }
      const path = pathOf(volume);
      if (!path) throw new Error(`volume ${name} has neither local.path nor hostPath.path`);
      const sizeBytes = parseQuantity(volume.spec.capacity?.storage ?? "") ?? 0;
      return attachments.attach(name, { path, mode: modeOf(volume), sizeBytes, ours: isOurs(volume) });
    },
    describe(claimUid) {
      const volume = (volumes.list() as Volume[]).find(({ spec }) => spec.claimRef?.uid === claimUid);
      const backingFile = volume && pathOf(volume);
      return backingFile ? { backingFile, mode: modeOf(volume) } : undefined;
    },
    async close() {
      await work.close();
      stop.abort();
      await Promise.all(caches.map(({ stopped }) => stopped));
      await teller.flush();
    },
  };
}

interface PodVolumes {
  spec?: { volumes?: { persistentVolumeClaim?: { claimName: string } }[] };
  status?: { phase?: string };
}
const claimNames = (pod: KubeObject): string[] =>
  ((pod as PodVolumes).spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? []);
const isDone = (pod: KubeObject): boolean => ["Succeeded", "Failed"].includes((pod as PodVolumes).status?.phase ?? "");
const isUsedBy = (pod: KubeObject, claim: Claim): boolean =>
  !isDone(pod) &&
  pod.metadata.namespace === claim.metadata.namespace &&
  claimNames(pod).includes(claim.metadata.name ?? "");
