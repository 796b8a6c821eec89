// Builders of objects for tests: sound by default, each test says only what it is about.
import { annotations } from "../../src/api/annotations.ts";
import type { CdiConfig } from "../../src/api/cdi-config.ts";
import type { ClaimSpec } from "../../src/api/claim-spec.ts";
import type { Claim, ContainerState, KubeEvent, Pod, PodPhase, StorageClass, Volume } from "../../src/api/core.ts";
import type { DataVolume, DataVolumeSpec, DataVolumeStatus } from "../../src/api/data-volume.ts";
import type { ObjectMeta } from "../../src/api/meta.ts";
import type { ClaimPropertySet, StorageProfile } from "../../src/api/storage-profile.ts";

export const dataVolumeUid = "11111111-0000-4000-8000-000000000001";
export const claimUid = "22222222-0000-4000-8000-000000000002";
export const podUid = "33333333-0000-4000-8000-000000000003";
const born = "2026-01-02T03:00:00Z";

const meta = (given: ObjectMeta): ObjectMeta => ({
  namespace: "default",
  resourceVersion: "100",
  creationTimestamp: born,
  ...given,
});

export interface DataVolumeParts {
  name?: string;
  annotations?: Record<string, string>;
  labels?: Record<string, string>;
  spec?: Partial<DataVolumeSpec>;
  status?: DataVolumeStatus;
  metadata?: ObjectMeta;
}

/** Imports over http into 1Gi of storage, by the road without populators. */
export function aDataVolume(parts: DataVolumeParts = {}): DataVolume {
  return {
    apiVersion: "cdi.kubevirt.io/v1beta1",
    kind: "DataVolume",
    metadata: meta({
      name: parts.name ?? "disk",
      uid: dataVolumeUid,
      generation: 1,
      annotations: { [annotations.usePopulator]: "false", ...parts.annotations },
      ...(parts.labels ? { labels: parts.labels } : {}),
      ...parts.metadata,
    }),
    spec: {
      source: { http: { url: "http://images.test/disk.qcow2" } },
      ...(parts.spec?.pvc ? {} : { storage: { resources: { requests: { storage: "1Gi" } } } }),
      ...parts.spec,
    },
    ...(parts.status ? { status: parts.status } : {}),
  };
}

export interface ClaimParts {
  name?: string;
  phase?: "Pending" | "Bound" | "Lost";
  annotations?: Record<string, string>;
  labels?: Record<string, string>;
  spec?: Partial<ClaimSpec>;
  metadata?: ObjectMeta;
}

/** Bound, of the DataVolume "disk", to be filled over http. */
export function aClaim(parts: ClaimParts = {}): Claim {
  const name = parts.name ?? "disk";
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: meta({
      name,
      uid: claimUid,
      labels: { app: "containerized-data-importer", ...parts.labels },
      annotations: {
        [annotations.importSource]: "http",
        [annotations.importEndpoint]: "http://images.test/disk.qcow2",
        [annotations.contentType]: "kubevirt",
        [annotations.preallocationRequested]: "false",
        [annotations.podRestarts]: "0",
        [annotations.createdForDataVolume]: dataVolumeUid,
        ...parts.annotations,
      },
      ownerReferences: [
        {
          apiVersion: "cdi.kubevirt.io/v1beta1",
          kind: "DataVolume",
          name,
          uid: dataVolumeUid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      ...parts.metadata,
    }),
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1138166334" } },
      storageClassName: "local",
      volumeMode: "Filesystem",
      ...parts.spec,
    },
    status: { phase: parts.phase ?? "Bound" },
  };
}

export interface PodParts {
  phase?: PodPhase;
  /** Absent: no container status yet. */
  state?: ContainerState;
  lastState?: ContainerState;
  restarts?: number;
  withScratch?: boolean;
  metadata?: ObjectMeta;
  reason?: string;
  conditions?: { type: string; status: string; reason?: string }[];
}

/** The importer pod of the claim "disk". */
export function aPod(parts: PodParts = {}): Pod {
  const scratch = { name: "cdi-scratch-vol", persistentVolumeClaim: { claimName: "disk-scratch" } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta({
      name: "importer-disk",
      uid: podUid,
      labels: { app: "containerized-data-importer", "cdi.kubevirt.io": "importer" },
      ownerReferences: [
        { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "disk", uid: claimUid, controller: true },
      ],
      ...parts.metadata,
    }),
    spec: {
      containers: [{ name: "importer", image: "importer:test", env: [{ name: "OWNER_UID", value: dataVolumeUid }] }],
      volumes: [
        { name: "cdi-data-vol", persistentVolumeClaim: { claimName: "disk" } },
        ...(parts.withScratch ? [scratch] : []),
      ],
    },
    status: {
      phase: parts.phase ?? "Pending",
      podIP: "127.0.0.1",
      ...(parts.reason ? { reason: parts.reason } : {}),
      ...(parts.conditions ? { conditions: parts.conditions } : {}),
      ...(parts.state
        ? {
            containerStatuses: [
              {
                name: "importer",
                ready: parts.state.running !== undefined,
                restartCount: parts.restarts ?? 0,
                state: parts.state,
                ...(parts.lastState ? { lastState: parts.lastState } : {}),
              },
            ],
          }
        : {}),
    },
  };
}

export const terminated = (
  exitCode: number,
  message: string,
  reason = exitCode === 0 ? "Completed" : "Error",
): ContainerState => ({
  terminated: { exitCode, message, reason },
});
export const crashLoop: ContainerState = {
  waiting: { reason: "CrashLoopBackOff", message: "back-off 10s restarting failed container" },
};
export const isRunning: ContainerState = { running: {} };

export const aStorageClass = (
  name: string,
  parts: { annotations?: Record<string, string>; created?: string; wffc?: boolean } = {},
): StorageClass => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name, creationTimestamp: parts.created ?? born, annotations: parts.annotations ?? {} },
  provisioner: "test",
  volumeBindingMode: parts.wffc ? "WaitForFirstConsumer" : "Immediate",
});

export const aDefaultClass = (name = "local"): StorageClass =>
  aStorageClass(name, { annotations: { [annotations.defaultClass]: "true" } });

export const aProfile = (name: string, sets: ClaimPropertySet[], own: Record<string, string> = {}): StorageProfile => ({
  apiVersion: "cdi.kubevirt.io/v1beta1",
  kind: "StorageProfile",
  metadata: { name, annotations: own },
  spec: {},
  status: { storageClass: name, claimPropertySets: sets },
});

export const aConfig = (
  parts: { overhead?: string; scratchClass?: string; gates?: string[]; status?: CdiConfig["status"] } = {},
): CdiConfig => ({
  apiVersion: "cdi.kubevirt.io/v1beta1",
  kind: "CDIConfig",
  metadata: { name: "config" },
  spec: parts.gates ? { featureGates: parts.gates } : {},
  status: {
    filesystemOverhead: { global: parts.overhead ?? "0.06" },
    ...(parts.scratchClass === undefined ? {} : { scratchSpaceStorageClass: parts.scratchClass }),
    ...parts.status,
  },
});

export const anAvailableVolume = (className: string, storage: string, parts: Partial<Volume["spec"]> = {}): Volume => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: `pv-${className}` },
  spec: { storageClassName: className, capacity: { storage }, accessModes: ["ReadWriteOnce"], ...parts },
  status: { phase: "Available" },
});

/** An event about the claim "disk". */
export const about = (message: string, lastTimestamp = born): KubeEvent => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "event", namespace: "default" },
  involvedObject: { kind: "PersistentVolumeClaim", namespace: "default", name: "disk", uid: claimUid },
  message,
  lastTimestamp,
});
