// The two ways a DataVolume describes its claim: `spec.pvc`, the whole claim spec, and `spec.storage`, every field optional.
import { Type, type Static } from "@sinclair/typebox";
import { LabelSelector } from "./label-selector.ts";
import { VolumeResources } from "./resource-requirements.ts";
import { openWord } from "./schema.ts";

export const accessModes = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"] as const;
export type AccessMode = (typeof accessModes)[number];

/** Kubernetes' two, and a word private to CDI, legal only between a claim's creation and its rendering by the webhook. */
export type VolumeMode = "Filesystem" | "Block" | "FromStorageProfile";

const LocalReference = Type.Object(
  { apiGroup: Type.Optional(Type.String()), kind: Type.String(), name: Type.String() },
  { "x-kubernetes-map-type": "atomic" },
);
const AnyReference = Type.Object({
  apiGroup: Type.Optional(Type.String()),
  kind: Type.String(),
  name: Type.String(),
  namespace: Type.Optional(Type.String()),
});

const shared = {
  dataSource: Type.Optional(LocalReference),
  dataSourceRef: Type.Optional(AnyReference),
  resources: Type.Optional(VolumeResources),
  selector: Type.Optional(LabelSelector),
  storageClassName: Type.Optional(Type.String()),
  volumeMode: Type.Optional(openWord<VolumeMode>()),
  volumeName: Type.Optional(Type.String()),
};

/** core/v1 PersistentVolumeClaimSpec. */
export const ClaimSpec = Type.Object({
  accessModes: Type.Optional(Type.Array(openWord<AccessMode>(), { "x-kubernetes-list-type": "atomic" })),
  ...shared,
  volumeAttributesClassName: Type.Optional(Type.String()),
});
export type ClaimSpec = Static<typeof ClaimSpec>;

/** cdi.kubevirt.io StorageSpec: what is left out comes from the storage profile. */
export const StorageSpec = Type.Object({
  accessModes: Type.Optional(Type.Array(openWord<AccessMode>())),
  ...shared,
});
export type StorageSpec = Static<typeof StorageSpec>;
