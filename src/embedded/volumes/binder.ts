// The two reconcilers of storage: a claim finds or gets its volume; a volume whose claim is gone is released and removed.
import { kinds } from "../../api/kinds.ts";
import { shownKey, type KubeObject } from "../../api/meta.ts";
import { isAlreadyExists, type Cache } from "../../kube/index.ts";
import { expandClaim, type ExpandWorld } from "./expand.ts";
import {
  annotations,
  claimProtection,
  claimRefOf,
  classOf,
  embeddedProvisioner,
  isOurs,
  refersTo,
  requestOf,
  volumeFor,
  type Claim,
  type StorageClass,
  type Volume,
} from "./objects.ts";

export interface BinderWorld extends ExpandWorld {
  claims: Cache;
  volumes: Cache;
  classes: Cache;
  /** Is a pod that has not ended using the claim? */
  isInUse(claim: Claim): boolean;
  /** Makes the backing and says what the volume is. */
  provision(claim: Claim, storage: StorageClass): Promise<Volume>;
  /** Waits for pods to let go, then removes the bytes. */
  remove(volumeName: string): Promise<void>;
}

const claimKey = (claim: Claim) => ({ namespace: claim.metadata.namespace ?? "", name: claim.metadata.name ?? "" });
const claimRefTo = (claim: Claim) => ({ kind: kinds.claim, ...claimKey(claim) });
const volumeRefTo = (volume: KubeObject) => ({ kind: kinds.volume, name: volume.metadata.name ?? "" });

export async function reconcileClaim(world: BinderWorld, namespace: string, name: string): Promise<void> {
  const claim = world.claims.get({ namespace, name }) as Claim | undefined;
  if (!claim) return;
  if (claim.metadata.deletionTimestamp) return unprotect(world, claim);
  if (claim.metadata.annotations?.[annotations.bindCompleted]) return keepBound(world, claim);
  const classes = world.classes.list() as StorageClass[];
  const storage = classOf(claim, classes);
  const className = claim.spec.storageClassName ?? storage?.metadata.name ?? "";
  const found = volumeFor(claim, className, world.volumes.list() as Volume[]);
  if (found) return bind(world, claim, found, className);
  if (!storage && claim.spec.storageClassName && !claim.spec.volumeName) {
    const message = `storageclass.storage.k8s.io "${claim.spec.storageClassName}" not found`;
    world.teller.tell(claim, { type: "Warning", reason: "ProvisioningFailed", message });
  }
  if (claim.spec.volumeName || storage?.provisioner !== embeddedProvisioner) return;
  // A populator fills these: it makes a claim of its own and hands us its volume.
  if (claim.spec.dataSource || claim.spec.dataSourceRef) return;
  const waits = storage.volumeBindingMode === "WaitForFirstConsumer";
  if (waits && !claim.metadata.annotations?.[annotations.selectedNode]) {
    const message = "waiting for first consumer to be created before binding";
    if (claim.status?.phase !== "Pending") await setClaimStatus(world, claim, { phase: "Pending" });
    world.teller.tell(claim, { type: "Normal", reason: "WaitForFirstConsumer", message });
    return;
  }
  const volume = await provisionFor(world, claim, storage);
  if (volume) await bind(world, claim, volume, className);
}

async function provisionFor(world: BinderWorld, claim: Claim, storage: StorageClass): Promise<Volume | undefined> {
  if (requestOf(claim) === undefined) return undefined; // the server's checks say what is wrong with it
  try {
    const wanted = await world.provision(claim, storage);
    const made = await world.client.create(wanted, kinds.volume).catch((cause: unknown) => {
      if (!isAlreadyExists(cause)) throw cause; // an earlier run got this far
      return world.client.get(volumeRefTo(wanted));
    });
    const message = `Successfully provisioned volume ${wanted.metadata.name}`;
    world.teller.tell(claim, { type: "Normal", reason: "ProvisioningSucceeded", message });
    return made as Volume | undefined;
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    const message = `failed to provision volume with StorageClass "${storage.metadata.name}": ${words}`;
    world.teller.tell(claim, { type: "Warning", reason: "ProvisioningFailed", message });
    throw cause;
  }
}

/** The order of the real binder: volume's claimRef, volume's phase, claim's volumeName, claim's phase. */
async function bind(world: BinderWorld, claim: Claim, found: Volume, className: string): Promise<void> {
  const { client } = world;
  let volume = found;
  if (volume.spec.claimRef?.uid !== claim.metadata.uid) {
    const body = {
      metadata: {
        resourceVersion: volume.metadata.resourceVersion,
        annotations: { [annotations.boundByController]: "yes" },
      },
      spec: { claimRef: claimRefOf(claim) },
    };
    volume = (await client.patch(volumeRefTo(volume), body, { type: "merge" })) as Volume;
  }
  await setVolumePhase(world, volume, "Bound");
  const finalizers = claim.metadata.finalizers ?? [];
  const body = {
    metadata: {
      resourceVersion: claim.metadata.resourceVersion,
      annotations: {
        [annotations.bindCompleted]: "yes",
        ...(claim.spec.volumeName ? {} : { [annotations.boundByController]: "yes" }),
        ...(isOurs(volume)
          ? { [annotations.provisioner]: embeddedProvisioner, [annotations.provisionerOld]: embeddedProvisioner }
          : {}),
      },
      ...(finalizers.includes(claimProtection) ? {} : { finalizers: [...finalizers, claimProtection] }),
    },
    spec: { volumeName: volume.metadata.name, storageClassName: className },
  };
  const bound = (await client.patch(claimRefTo(claim), body, { type: "merge" })) as Claim;
  await setClaimStatus(world, bound, boundStatus(volume));
}

const boundStatus = (volume: Volume) => ({
  phase: "Bound",
  accessModes: volume.spec.accessModes ?? [],
  capacity: volume.spec.capacity ?? {},
});

/** A claim that was bound stays so, or is Lost for good: its data is somebody else's or nowhere. */
async function keepBound(world: BinderWorld, claim: Claim): Promise<void> {
  const name = claim.spec.volumeName ?? "";
  // The cache of volumes may lag behind the cache of claims.
  const volume = (world.volumes.get({ name }) ?? (await world.client.get({ kind: kinds.volume, name }))) as
    Volume | undefined;
  if (volume && refersTo(volume.spec.claimRef, claim)) {
    if (claim.status?.phase !== "Bound") await setClaimStatus(world, claim, boundStatus(volume));
    await setVolumePhase(world, volume, "Bound");
    if (claim.status?.phase === "Bound") await expandClaim(world, claim, volume);
    return;
  }
  if (claim.status?.phase === "Lost") return;
  const reason = volume ? "ClaimMisbound" : "ClaimLost";
  const message = volume
    ? "Two claims are bound to the same volume, this one is bound incorrectly"
    : "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
  world.teller.tell(claim, { type: "Warning", reason, message });
  await setClaimStatus(world, claim, { phase: "Lost" });
}

async function unprotect(world: BinderWorld, claim: Claim): Promise<void> {
  const finalizers = claim.metadata.finalizers ?? [];
  if (!finalizers.includes(claimProtection) || world.isInUse(claim)) return;
  const left = finalizers.filter((one) => one !== claimProtection);
  const body = { metadata: { resourceVersion: claim.metadata.resourceVersion, finalizers: left } };
  await world.client.patch(claimRefTo(claim), body, { type: "merge" });
}

export async function reconcileVolume(world: BinderWorld, name: string): Promise<void> {
  const volume = world.volumes.get({ name }) as Volume | undefined;
  if (!volume) return;
  const { claimRef } = volume.spec;
  if (!claimRef?.name) return setVolumePhase(world, volume, "Available");
  // Reserved: binding starts from the claim.
  if (!claimRef.uid) return setVolumePhase(world, volume, "Available");
  const cached = world.claims.get({ namespace: claimRef.namespace ?? "", name: claimRef.name });
  if (cached?.metadata.uid === claimRef.uid) return;
  // Bytes are about to go: ask the server, not the cache.
  const [claim, fresh] = await Promise.all([
    world.client.get({ kind: kinds.claim, namespace: claimRef.namespace ?? "", name: claimRef.name }),
    world.client.get(volumeRefTo(volume)) as Promise<Volume | undefined>,
  ]);
  if (claim?.metadata.uid === claimRef.uid || fresh?.spec.claimRef?.uid !== claimRef.uid) return;
  await setVolumePhase(world, fresh, "Released");
  if (!isOurs(fresh) || fresh.spec.persistentVolumeReclaimPolicy !== "Delete") return;
  await world.remove(name);
  await world.client.delete(volumeRefTo(fresh), { uid: fresh.metadata.uid ?? "" });
}

async function setVolumePhase(world: BinderWorld, volume: Volume, phase: string): Promise<void> {
  if (volume.status?.phase === phase) return;
  await world.client.patch(volumeRefTo(volume), { status: { phase } }, { type: "merge", subresource: "status" });
}

async function setClaimStatus(world: BinderWorld, claim: Claim, status: object): Promise<void> {
  await world.client.patch(claimRefTo(claim), { status }, { type: "merge", subresource: "status" });
}

export const shownClaim = (claim: Claim): string => shownKey(claimKey(claim));
