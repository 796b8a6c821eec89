// What a fresh embedded cluster holds as data: the kinds of this project, two storage classes with their profiles, and a
// CDIConfig, whose status is the controllers' to fill (interfaces/storage-decisions.md sections 3 and 4).
import { crdOf } from "../api/crd.ts";
import { declaredKinds } from "../api/declared-kinds.ts";
import { kinds } from "../api/kinds.ts";
import { keyOf, type KindRef, type KubeObject } from "../api/meta.ts";
import { isAlreadyExists, type KubeClient } from "../kube/index.ts";
import { embeddedProvisioner } from "./volumes/index.ts";

export const defaultClass = "local";
/** The same volumes, made when the first pod that uses the claim has been given its node. */
export const firstConsumerClass = "local-wffc";

const classNames = [defaultClass, firstConsumerClass];

const storageClassOf = (name: string): KubeObject => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: {
    name,
    ...(name === defaultClass ? { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } } : {}),
  },
  provisioner: embeddedProvisioner,
  reclaimPolicy: "Delete",
  volumeBindingMode: name === firstConsumerClass ? "WaitForFirstConsumer" : "Immediate",
  allowVolumeExpansion: true,
});

const claimPropertySets = ["Filesystem", "Block"].map((volumeMode) => ({ accessModes: ["ReadWriteOnce"], volumeMode }));
const labels = { app: "containerized-data-importer", "cdi.kubevirt.io": "" };

const storageProfileOf = (name: string): KubeObject => ({
  apiVersion: kinds.storageProfile.apiVersion,
  kind: kinds.storageProfile.kind,
  metadata: { name, labels },
  spec: {},
  status: {
    storageClass: name,
    provisioner: embeddedProvisioner,
    claimPropertySets,
    cloneStrategy: "copy",
    dataImportCronSourceFormat: "pvc",
  },
});

const cdiConfig: KubeObject = {
  apiVersion: kinds.cdiConfig.apiVersion,
  kind: kinds.cdiConfig.kind,
  metadata: { name: "config", labels },
  spec: {},
};

/** Creates what is missing; objects of an earlier run are left as their user made them. */
export async function seed(client: KubeClient): Promise<void> {
  for (const kind of declaredKinds) await ensure(client, kinds.crd, crdOf(kind));
  for (const name of classNames) {
    await ensure(client, kinds.storageClass, storageClassOf(name));
    await ensure(client, kinds.storageProfile, storageProfileOf(name));
  }
  await ensure(client, kinds.cdiConfig, cdiConfig);
}

async function ensure(client: KubeClient, kind: KindRef, object: KubeObject): Promise<void> {
  const made = await client.create(object, kind).catch((cause: unknown) => {
    if (isAlreadyExists(cause)) return undefined;
    throw cause;
  });
  // A create drops the status where the kind has a status subresource: write it once, on the object we made.
  if (made && object.status !== undefined && made.status === undefined) {
    await client.patch({ kind, ...keyOf(made) }, { status: object.status }, { type: "merge", subresource: "status" });
  }
}
