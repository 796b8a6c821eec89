// Narrow views of Kubernetes' own kinds: only the fields the controllers read or write.
import type { ClaimSpec } from "./claim-spec.ts";
import type { KubeObject } from "./meta.ts";
import type { PodResources } from "./resource-requirements.ts";

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: {
    secretKeyRef?: { name: string; key: string; optional?: boolean };
    fieldRef?: { fieldPath: string };
  };
}

export interface SecurityContext {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  fsGroup?: number;
  allowPrivilegeEscalation?: boolean;
  readOnlyRootFilesystem?: boolean;
  capabilities?: { drop: string[] };
  seccompProfile?: { type: string };
}

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  imagePullPolicy?: string;
  env?: EnvVar[];
  ports?: { name: string; containerPort: number; protocol?: string }[];
  resources?: PodResources;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  volumeDevices?: { name: string; devicePath: string }[];
  securityContext?: SecurityContext;
  terminationMessagePath?: string;
  terminationMessagePolicy?: "File" | "FallbackToLogsOnError";
}

export interface PodVolume {
  name: string;
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean };
  secret?: { secretName: string; defaultMode?: number; optional?: boolean };
  configMap?: { name: string; defaultMode?: number; optional?: boolean };
  emptyDir?: { sizeLimit?: string; medium?: string };
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  volumes?: PodVolume[];
  restartPolicy?: "Always" | "OnFailure" | "Never";
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  affinity?: object;
  tolerations?: object[];
  priorityClassName?: string;
  serviceAccountName?: string;
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  securityContext?: SecurityContext;
  imagePullSecrets?: { name?: string }[];
  terminationGracePeriodSeconds?: number;
}

export interface TerminatedState {
  exitCode: number;
  signal?: number;
  reason?: string;
  message?: string;
  startedAt?: string;
  finishedAt?: string;
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt?: string };
  terminated?: TerminatedState;
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  started?: boolean;
  image?: string;
  state?: ContainerState;
  lastState?: ContainerState;
}

export type PodPhase = "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
export interface PodStatus {
  phase?: PodPhase;
  reason?: string;
  message?: string;
  podIP?: string;
  initContainerStatuses?: ContainerStatus[];
  containerStatuses?: ContainerStatus[];
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
}
export interface Pod extends KubeObject {
  spec: PodSpec;
  status?: PodStatus;
}

export interface Claim extends KubeObject {
  spec: ClaimSpec;
  status?: {
    phase?: "Pending" | "Bound" | "Lost";
    capacity?: Record<string, string | number>;
    accessModes?: string[];
  };
}

export interface Volume extends KubeObject {
  spec: {
    capacity?: Record<string, string | number>;
    accessModes?: string[];
    volumeMode?: "Filesystem" | "Block";
    storageClassName?: string;
    persistentVolumeReclaimPolicy?: "Retain" | "Delete" | "Recycle";
    claimRef?: { apiVersion?: string; kind?: string; namespace?: string; name?: string; uid?: string };
  };
  status?: { phase?: "Pending" | "Available" | "Bound" | "Released" | "Failed" };
}

export interface StorageClass extends KubeObject {
  provisioner: string;
  volumeBindingMode?: "Immediate" | "WaitForFirstConsumer";
  reclaimPolicy?: string;
  allowVolumeExpansion?: boolean;
  parameters?: Record<string, string>;
}

export interface KubeEvent extends KubeObject {
  involvedObject: {
    apiVersion?: string;
    kind?: string;
    namespace?: string;
    name?: string;
    uid?: string;
    resourceVersion?: string;
  };
  type?: "Normal" | "Warning";
  reason?: string;
  message?: string;
  count?: number;
  firstTimestamp?: string;
  lastTimestamp?: string;
  source?: { component?: string; host?: string };
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export interface KubeSecret extends KubeObject {
  type?: string;
  /** Base64. */
  data?: Record<string, string>;
  stringData?: Record<string, string>;
}
