// Claims, volumes and classes as the binder sees them, and the pure questions about them.
import type { KubeObject } from "../../api/meta.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import { wholeSize, type VolumeMode } from "./backing.ts";

export const embeddedProvisioner = "cdi.kubevirt.io/embedded";
export const claimProtection = "kubernetes.io/pvc-protection";

export const annotations = {
  bindCompleted: "pv.kubernetes.io/bind-completed",
  boundByController: "pv.kubernetes.io/bound-by-controller",
  provisionedBy: "pv.kubernetes.io/provisioned-by",
  provisioner: "volume.kubernetes.io/storage-provisioner",
  provisionerOld: "volume.beta.kubernetes.io/storage-provisioner",
  selectedNode: "volume.kubernetes.io/selected-node",
  defaultClass: "storageclass.kubernetes.io/is-default-class",
} as const;

export interface Claim extends KubeObject {
  spec: {
    accessModes?: string[];
    resources?: { requests?: { storage?: string } };
    storageClassName?: string;
    volumeMode?: VolumeMode;
    volumeName?: string;
    selector?: object;
    dataSource?: object;
    dataSourceRef?: object;
  };
  status?: { phase?: string };
}

export interface ClaimRef {
  namespace?: string;
  name?: string;
  uid?: string;
}
export interface Volume extends KubeObject {
  spec: {
    capacity?: { storage?: string };
    accessModes?: string[];
    claimRef?: ClaimRef;
    storageClassName?: string;
    volumeMode?: VolumeMode;
    persistentVolumeReclaimPolicy?: string;
    local?: { path: string };
    hostPath?: { path: string };
  };
  status?: { phase?: string };
}
export interface StorageClass extends KubeObject {
  provisioner?: string;
  reclaimPolicy?: string;
  volumeBindingMode?: string;
}

export const modeOf = (object: Claim | Volume): VolumeMode => object.spec.volumeMode ?? "Filesystem";
export const requestOf = (claim: Claim): number | undefined =>
  parseQuantity(claim.spec.resources?.requests?.storage ?? "");
export const isOurs = (volume: Volume): boolean =>
  volume.metadata.annotations?.[annotations.provisionedBy] === embeddedProvisioner;
export const pathOf = (volume: Volume): string | undefined => volume.spec.local?.path ?? volume.spec.hostPath?.path;

/** claimRef without a uid means "whoever has this name". */
export const refersTo = (ref: ClaimRef | undefined, claim: Claim): boolean =>
  ref?.namespace === claim.metadata.namespace &&
  ref?.name === claim.metadata.name &&
  (!ref?.uid || ref.uid === claim.metadata.uid);

/** The class named, or the default one when none is; "" asks for none. */
export function classOf(claim: Claim, classes: readonly StorageClass[]): StorageClass | undefined {
  const { storageClassName } = claim.spec;
  if (storageClassName !== undefined) return classes.find(({ metadata }) => metadata.name === storageClassName);
  return classes.find(({ metadata }) => metadata.annotations?.[annotations.defaultClass] === "true");
}

/** A volume reserved for the claim, else the smallest free one that serves it. */
export function volumeFor(claim: Claim, className: string, volumes: readonly Volume[]): Volume | undefined {
  const reserved = volumes.find((volume) => refersTo(volume.spec.claimRef, claim));
  if (reserved) return reserved;
  const { volumeName } = claim.spec;
  if (volumeName) return volumes.find(({ metadata, spec }) => metadata.name === volumeName && !spec.claimRef);
  const request = requestOf(claim);
  if (request === undefined || claim.spec.selector) return undefined;
  const capacity = (volume: Volume): number => parseQuantity(volume.spec.capacity?.storage ?? "") ?? -1;
  return volumes
    .filter((volume) => !volume.spec.claimRef && !volume.metadata.deletionTimestamp)
    .filter((volume) => (volume.spec.storageClassName ?? "") === className && modeOf(volume) === modeOf(claim))
    .filter((volume) => (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode)))
    .filter((volume) => capacity(volume) >= request)
    .sort((a, b) => capacity(a) - capacity(b))[0];
}

export const claimRefOf = (claim: Claim) => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  namespace: claim.metadata.namespace,
  name: claim.metadata.name,
  uid: claim.metadata.uid,
  resourceVersion: claim.metadata.resourceVersion,
});

/** The volume provisioned for a claim. `path` stands in spec.local.path: that is where a user finds the bytes. */
export function provisionedVolume(claim: Claim, storage: StorageClass, path: string, nodeName: string): Volume {
  const asked = claim.spec.resources?.requests?.storage ?? "";
  const bytes = requestOf(claim) ?? 0;
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name: volumeNameFor(claim),
      annotations: { [annotations.provisionedBy]: embeddedProvisioner },
    },
    spec: {
      capacity: { storage: wholeSize(bytes) === bytes ? asked : String(wholeSize(bytes)) },
      accessModes: claim.spec.accessModes ?? [],
      claimRef: claimRefOf(claim),
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [nodeName] }] },
          ],
        },
      },
      persistentVolumeReclaimPolicy: storage.reclaimPolicy ?? "Delete",
      storageClassName: storage.metadata.name ?? "",
      volumeMode: modeOf(claim),
    } as Volume["spec"],
  };
}
export const volumeNameFor = (claim: Claim): string => `pvc-${claim.metadata.uid}`;
