// Which volume a claim gets, and what a provisioned one says.
import { expect, test } from "vitest";
import { wholeSize } from "../../../../src/embedded/volumes/backing.ts";
import {
  classOf,
  provisionedVolume,
  volumeFor,
  type Claim,
  type StorageClass,
  type Volume,
} from "../../../../src/embedded/volumes/objects.ts";

const aClaim = (spec: Partial<Claim["spec"]> = {}): Claim => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "c", namespace: "default", uid: "claim-uid" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
});
const aVolume = (name: string, storage: string, spec: Partial<Volume["spec"]> = {}): Volume => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name },
  spec: { capacity: { storage }, accessModes: ["ReadWriteOnce"], storageClassName: "local", ...spec },
});
const ref = (uid?: string) => ({ namespace: "default", name: "c", ...(uid ? { uid } : {}) });

test.each([
  {
    when: "the smallest that is large enough",
    volumes: [aVolume("big", "4Gi"), aVolume("fit", "2Gi"), aVolume("small", "1Mi")],
    found: "fit",
  },
  { when: "another class", volumes: [aVolume("v", "2Gi", { storageClassName: "other" })], found: undefined },
  { when: "another mode", volumes: [aVolume("v", "2Gi", { volumeMode: "Block" })], found: undefined },
  { when: "fewer access modes", volumes: [aVolume("v", "2Gi", { accessModes: ["ReadOnlyMany"] })], found: undefined },
  {
    when: "somebody else's",
    volumes: [aVolume("v", "2Gi", { claimRef: { namespace: "default", name: "x" } })],
    found: undefined,
  },
  {
    when: "one reserved by name, whatever its size",
    volumes: [aVolume("free", "1Gi"), aVolume("v", "1Mi", { claimRef: ref() })],
    found: "v",
  },
  { when: "one bound by uid", volumes: [aVolume("v", "1Gi", { claimRef: ref("claim-uid") })], found: "v" },
  {
    when: "one of an earlier claim of that name",
    volumes: [aVolume("v", "1Gi", { claimRef: ref("old-uid") })],
    found: undefined,
  },
])("$when", ({ volumes, found }) => {
  expect(volumeFor(aClaim(), "local", volumes)?.metadata.name).toBe(found);
});

test("a claim that names its volume takes that or waits", () => {
  const volumes = [aVolume("a", "1Gi"), aVolume("b", "1Gi")];
  expect(volumeFor(aClaim({ volumeName: "b" }), "local", volumes)?.metadata.name).toBe("b");
  expect(volumeFor(aClaim({ volumeName: "c" }), "local", volumes)).toBeUndefined();
});

test("no class named means the default one, an empty name means none", () => {
  const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  const classes: StorageClass[] = [
    { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "other" } },
    { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "local", annotations } },
  ];
  expect(classOf(aClaim(), classes)?.metadata.name).toBe("local");
  expect(classOf(aClaim({ storageClassName: "other" }), classes)?.metadata.name).toBe("other");
  expect(classOf(aClaim({ storageClassName: "" }), classes)).toBeUndefined();
});

test.each([
  { asked: "1Gi", capacity: "1Gi" },
  { asked: "500M", capacity: "500002816" },
  { asked: "1", capacity: "1048576" },
])("$asked becomes $capacity: whole blocks, and no more than said", ({ asked, capacity }) => {
  const storage = { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "local" } };
  const claim = aClaim({ resources: { requests: { storage: asked } } });
  const volume = provisionedVolume(claim, storage, "/v/disk", "embedded");
  expect(volume.spec.capacity).toEqual({ storage: capacity });
  expect(volume.metadata.name).toBe("pvc-claim-uid");
  expect(wholeSize(1) % 4096).toBe(0);
});
