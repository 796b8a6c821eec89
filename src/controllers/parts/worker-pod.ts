// What all worker pods have in common: owner, labels, placement, security, the volumes of the disk (interfaces/importer.md
// sections 2 and 6). An importer and an upload server differ in their container and in what else they mount.
import { annotations, podNetworkAnnotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, Container, Pod, PodVolume } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { commonLabels, labels } from "../../api/labels.ts";
import type { KindRef, KubeObject, OwnerReference } from "../../api/meta.ts";
import { podPaths, podUser } from "../../contract/paths.ts";
import type { ControllerOptions } from "../options.ts";
import { annotationOf } from "./claim-facts.ts";
import { scratchClaimName } from "./names.ts";

export const ownedBy = (kind: KindRef, owner: KubeObject): OwnerReference => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  name: owner.metadata.name ?? "",
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});

export const namespaced = (claim: Claim) =>
  claim.metadata.namespace === undefined ? {} : { namespace: claim.metadata.namespace };

/** A volume and where it is mounted; no path for a block device. */
export interface Mounted {
  volume: PodVolume;
  path?: string;
}

export const isBlock = (claim: Claim): boolean => claim.spec.volumeMode === "Block";
export const scratchVolume = "cdi-scratch-vol";

export const dataVolume = "cdi-data-vol";

/** The target, and scratch space beside it. */
export function diskVolumes(claim: Claim, withScratch: boolean): Mounted[] {
  const claimName = claim.metadata.name ?? "";
  const volume: PodVolume = { name: dataVolume, persistentVolumeClaim: { claimName } };
  const scratch: PodVolume = { name: scratchVolume, persistentVolumeClaim: { claimName: scratchClaimName(claimName) } };
  return [
    isBlock(claim) ? { volume } : { volume, path: podPaths.data },
    ...(withScratch ? [{ volume: scratch, path: podPaths.scratch }] : []),
  ];
}

/**
 * A device has no place beside the disk where a restarted container could find how far it was.
 * @param sizeLimit of what is kept there
 */
export const checkpointVolumes = (claim: Claim, sizeLimit: string): Mounted[] =>
  isBlock(claim)
    ? [{ volume: { name: "cdi-checkpoint-vol", emptyDir: { sizeLimit } }, path: podPaths.checkpoint }]
    : [];

/** Upstream's defaults, where CDIConfig says nothing else. */
export const shippedResources = {
  limits: { cpu: "750m", memory: "600M" },
  requests: { cpu: "100m", memory: "60M" },
};

export interface WorkerPod {
  claim: Claim;
  config: CdiConfig | undefined;
  options: ControllerOptions;
  name: string;
  /** Value of the component label. */
  component: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  mounted: readonly Mounted[];
  container: Pick<Container, "name" | "image" | "env" | "ports"> & { readinessProbe?: object };
  /** Run to their end before it, and beside it. */
  before?: readonly Further[];
  beside?: readonly Further[];
  nodeSelector?: Readonly<Record<string, string>>;
  /** By the claim. Default true. */
  isOwned?: boolean;
  /** No token of the service account is mounted. Default false. */
  hasNoToken?: boolean;
}

/** A container that does not see the disk. */
export type Further = Pick<Container, "name" | "image" | "command" | "env" | "volumeMounts">;

export function workerPodFor(inputs: WorkerPod): Pod {
  const { claim, config, options, name, component, mounted, before = [], beside = [], isOwned = true } = inputs;
  const nodeSelector = inputs.nodeSelector && { nodeSelector: { ...inputs.nodeSelector } };
  const priorityClassName = annotationOf(claim, annotations.podPriorityClassName);
  const serviceAccountName = annotationOf(claim, annotations.podServiceAccountName);
  const imagePullSecrets = config?.status?.imagePullSecrets;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      ...namespaced(claim),
      labels: {
        ...commonLabels,
        [labels.component]: component,
        ...options.installerLabels,
        ...claim.metadata.labels,
        ...inputs.labels,
        // A claim's own value would hide the pod from us.
        ...(claim.metadata.labels?.[labels.component] === undefined ? {} : { [labels.component]: component }),
      },
      annotations: { ...inputs.annotations, ...podAnnotations(claim) },
      ...(isOwned ? { ownerReferences: [ownedBy(kinds.claim, claim)] } : {}),
    },
    spec: {
      ...(before.length > 0 ? { initContainers: before.map((one) => ({ ...one, ...sharedBy(inputs) })) } : {}),
      containers: [containerFor(inputs), ...beside.map((one) => ({ ...one, ...sharedBy(inputs) }))],
      volumes: mounted.map(({ volume }) => volume),
      restartPolicy: "OnFailure",
      enableServiceLinks: false,
      ...nodeSelector,
      ...(inputs.hasNoToken ? { automountServiceAccountToken: false } : {}),
      securityContext: { fsGroup: podUser, seccompProfile: { type: "RuntimeDefault" } },
      ...(priorityClassName ? { priorityClassName } : {}),
      ...(serviceAccountName ? { serviceAccountName } : {}),
      ...(imagePullSecrets?.length ? { imagePullSecrets } : {}),
    },
  };
}

function podAnnotations(claim: Claim): Record<string, string> {
  const copied = [...podNetworkAnnotations, annotations.podPriorityClassName, annotations.podServiceAccountName];
  const rows = copied.flatMap((key) => {
    const value = annotationOf(claim, key);
    return value === undefined ? [] : [[key, value] as const];
  });
  return {
    [annotations.istioInject]: "false",
    [annotations.linkerdInject]: "disabled",
    ...Object.fromEntries(rows),
  };
}

function containerFor(inputs: WorkerPod): Container {
  const { claim, options, mounted, container } = inputs;
  return {
    ...container,
    ...sharedBy(inputs),
    args: [`-v=${options.verbosity}`],
    volumeMounts: mounted.flatMap(({ volume, path }) => (path ? [{ name: volume.name, mountPath: path }] : [])),
    ...(isBlock(claim) ? { volumeDevices: [{ name: dataVolume, devicePath: podPaths.blockDevice }] } : {}),
  };
}

/** What every container of the pod has. */
function sharedBy({ config, options }: WorkerPod): Omit<Container, keyof Further> {
  return {
    imagePullPolicy: options.pullPolicy,
    resources: config?.status?.defaultPodResourceRequirements ?? shippedResources,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: podUser,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePath: podPaths.terminationLog,
    terminationMessagePolicy: "FallbackToLogsOnError",
  };
}
