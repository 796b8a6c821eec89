// The StorageProfile kind: what a storage class can do, one object per class and of the class's name.
import { Type, type Static } from "@sinclair/typebox";
import { accessModes, type AccessMode } from "./claim-spec.ts";
import { Conditions } from "./conditions.ts";
import { kinds } from "./kinds.ts";
import { openWord, wordOf } from "./schema.ts";
import type { KindDeclaration } from "./kind-declaration.ts";
import type { KubeObject } from "./meta.ts";

const text = () => Type.Optional(Type.String());
const allowed = accessModes.map((mode) => `'${mode}'`).join(", ");

/** One way the class can be asked for; the first that fits is the preferred one. */
export const ClaimPropertySet = Type.Object({
  accessModes: Type.Array(openWord<AccessMode>(), {
    maxItems: 4,
    "x-kubernetes-validations": [{ message: "Illegal AccessMode", rule: `self.all(am, am in [${allowed}])` }],
  }),
  volumeMode: wordOf(["Block", "Filesystem"]),
});
export type ClaimPropertySet = Static<typeof ClaimPropertySet>;

const settings = {
  claimPropertySets: Type.Optional(Type.Array(ClaimPropertySet, { maxItems: 8 })),
  cloneStrategy: text(),
  dataImportCronSourceFormat: text(),
  snapshotClass: text(),
};

export const StorageProfileSpec = Type.Object(settings);
export const StorageProfileStatus = Type.Object({
  ...settings,
  conditions: Type.Optional(Conditions),
  provisioner: text(),
  storageClass: text(),
});

export type StorageProfileSpec = Static<typeof StorageProfileSpec>;
export type StorageProfileStatus = Static<typeof StorageProfileStatus>;
export interface StorageProfile extends KubeObject {
  spec: StorageProfileSpec;
  status?: StorageProfileStatus;
}

export const storageProfileKind: KindDeclaration = {
  ref: kinds.storageProfile,
  schema: Type.Object({
    apiVersion: text(),
    kind: text(),
    metadata: Type.Optional(Type.Object({})),
    spec: StorageProfileSpec,
    status: Type.Optional(StorageProfileStatus),
  }),
  statusSubresource: true,
};
