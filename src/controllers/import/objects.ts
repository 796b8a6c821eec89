// The objects an import is done with: importer pod, scratch claim, copy of the proxy's CA bundle (interfaces/importer.md 2, 3, 6).
import { annotations, podNetworkAnnotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, ConfigMap, Container, EnvVar, Pod, PodVolume } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { commonLabels, components, labels } from "../../api/labels.ts";
import type { KindRef, KubeObject, OwnerReference } from "../../api/meta.ts";
import { extraHeaderName, importerEnv } from "../../contract/importer-env.ts";
import { metricsPort, podPaths, podUser } from "../../contract/paths.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import type { ControllerOptions } from "../options.ts";
import { importerContainer } from "../parts/fault-of-pod.ts";
import { importerPodName, proxyConfigMapName, scratchClaimName } from "../parts/names.ts";
import { requiredBytes, roundUp, usableBytes } from "../parts/overhead.ts";
import { annotationOf, importSourceOf } from "./claim-facts.ts";

export interface PodInputs {
  claim: Claim;
  config: CdiConfig | undefined;
  /** Decimal text of the target's file system overhead. */
  overhead: string;
  withScratch: boolean;
  options: ControllerOptions;
}

export const ownedBy = (kind: KindRef, owner: KubeObject): OwnerReference => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  name: owner.metadata.name ?? "",
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});

const namespaced = (claim: Claim) =>
  claim.metadata.namespace === undefined ? {} : { namespace: claim.metadata.namespace };

/** Label ownerUID of the metrics: the claim's only owner, else the claim itself. */
export function ownerUidOf(claim: Claim): string {
  const owners = claim.metadata.ownerReferences ?? [];
  return (owners.length === 1 ? owners[0]?.uid : undefined) ?? claim.metadata.uid ?? "";
}

const shippedResources = {
  limits: { cpu: "750m", memory: "600M" },
  requests: { cpu: "100m", memory: "60M" },
};

export function importerPodFor(inputs: PodInputs): Pod {
  const { claim, config, options } = inputs;
  const priorityClassName = annotationOf(claim, annotations.podPriorityClassName);
  const serviceAccountName = annotationOf(claim, annotations.podServiceAccountName);
  const imagePullSecrets = config?.status?.imagePullSecrets;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: annotationOf(claim, annotations.importPodName) ?? importerPodName(claim.metadata.name ?? ""),
      ...namespaced(claim),
      labels: {
        ...commonLabels,
        [labels.component]: components.importer,
        [labels.prometheus]: "true",
        ...options.installerLabels,
        ...claim.metadata.labels,
        // A claim's own value would hide the pod from us.
        ...(claim.metadata.labels?.[labels.component] === undefined ? {} : { [labels.component]: components.importer }),
      },
      annotations: podAnnotations(claim),
      ownerReferences: [ownedBy(kinds.claim, claim)],
    },
    spec: {
      containers: [importerContainerFor(inputs)],
      volumes: volumesOf(inputs).map(({ volume }) => volume),
      restartPolicy: "OnFailure",
      enableServiceLinks: false,
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
    [annotations.createdByController]: "yes",
    [annotations.istioInject]: "false",
    [annotations.linkerdInject]: "disabled",
    ...Object.fromEntries(rows),
  };
}

function importerContainerFor(inputs: PodInputs): Container {
  const { claim, config, options } = inputs;
  const mounted = volumesOf(inputs);
  const block = isBlock(claim) ? [{ name: "cdi-data-vol", devicePath: podPaths.blockDevice }] : [];
  return {
    name: importerContainer,
    image: options.importerImage,
    imagePullPolicy: options.pullPolicy,
    args: [`-v=${options.verbosity}`],
    ports: [{ name: "metrics", containerPort: metricsPort, protocol: "TCP" }],
    env: envOf(inputs),
    resources: config?.status?.defaultPodResourceRequirements ?? shippedResources,
    volumeMounts: mounted.flatMap(({ volume, path }) => (path ? [{ name: volume.name, mountPath: path }] : [])),
    ...(block.length > 0 ? { volumeDevices: block } : {}),
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

export const isBlock = (claim: Claim): boolean => claim.spec.volumeMode === "Block";
const secretHeaders = /^cdi\.kubevirt\.io\/storage\.import\.secretExtraHeaders\.(\d+)$/;
const plainHeaders = /^cdi\.kubevirt\.io\/storage\.import\.extraHeaders\.(\d+)$/;

/** Values of numbered annotations, in the order of their numbers. */
function numbered(claim: Claim, pattern: RegExp): string[] {
  const rows = Object.entries(claim.metadata.annotations ?? {}).flatMap(([key, value]) => {
    const index = pattern.exec(key)?.[1];
    return index === undefined ? [] : [{ index: Number(index), value }];
  });
  return rows.toSorted((a, b) => a.index - b.index).map(({ value }) => value);
}

/** Volumes and where each is mounted; no path for a block device. */
function volumesOf({ claim, config, withScratch }: PodInputs): { volume: PodVolume; path?: string }[] {
  const name = claim.metadata.name ?? "";
  const rows: { volume: PodVolume; path?: string }[] = [];
  const data: PodVolume = { name: "cdi-data-vol", persistentVolumeClaim: { claimName: name } };
  rows.push(isBlock(claim) ? { volume: data } : { volume: data, path: podPaths.data });
  if (withScratch) {
    rows.push({
      volume: { name: scratchVolume, persistentVolumeClaim: { claimName: scratchClaimName(name) } },
      path: podPaths.scratch,
    });
  }
  const certs = annotationOf(claim, annotations.importCertConfigMap);
  if (certs) rows.push({ volume: { name: "cdi-cert-vol", configMap: { name: certs } }, path: podPaths.certs });
  if (config?.status?.importProxy?.trustedCAProxy) {
    const volume: PodVolume = { name: "cdi-proxy-cert-vol", configMap: { name: proxyConfigMapName(name) } };
    rows.push({ volume, path: `${podPaths.proxyCerts}/` });
  }
  for (const [index, secretName] of numbered(claim, secretHeaders).entries()) {
    const volume: PodVolume = { name: `cdi-secret-extra-headers-vol-${index}`, secret: { secretName } };
    rows.push({ volume, path: `${podPaths.extraHeaders}/${index}` });
  }
  return rows;
}

export const scratchVolume = "cdi-scratch-vol";

function envOf({ claim, config, overhead, options }: PodInputs): EnvVar[] {
  const get = (key: string): string => annotationOf(claim, key) ?? "";
  const proxy = config?.status?.importProxy;
  const secret = annotationOf(claim, annotations.importSecretName);
  const certs = annotationOf(claim, annotations.importCertConfigMap);
  const plain: EnvVar[] = importerEnv.write({
    source: importSourceOf(claim),
    endpoint: get(annotations.importEndpoint),
    contentType: get(annotations.contentType) === "archive" ? "archive" : "kubevirt",
    imageSize: String(claim.spec.resources?.requests?.storage ?? ""),
    ownerUid: ownerUidOf(claim),
    filesystemOverhead: overhead,
    insecureTls: get(annotations.importInsecureSkipVerify) === "true",
    diskId: "",
    uuid: "",
    pullMethod: "",
    readyFile: "",
    doneFile: "",
    backingFile: "",
    thumbprint: "",
    httpProxy: proxy?.HTTPProxy ?? "",
    httpsProxy: proxy?.HTTPSProxy ?? "",
    noProxy: proxy?.noProxy ?? "",
    currentCheckpoint: "",
    previousCheckpoint: "",
    finalCheckpoint: "",
    preallocation: get(annotations.preallocationRequested) === "true",
    cacheMode: get(annotations.importRequiresDirectIo) === "true" ? "TRYNONE" : "",
    registryImageArchitecture: "",
    checksum: get(annotations.importChecksum),
    accessKeyId: undefined,
    secretKey: undefined,
    certDir: certs ? podPaths.certs : undefined,
    proxyCertDir: proxy?.trustedCAProxy ? `${podPaths.proxyCerts}/` : undefined,
    format: annotationOf(claim, annotations.importFormat),
    addressRules: options.addressRules,
  });
  const names = importerEnv.variables;
  const fromSecret = (name: string, key: string): EnvVar[] =>
    secret ? [{ name, valueFrom: { secretKeyRef: { name: secret, key } } }] : [];
  return [
    ...plain,
    ...fromSecret(names.accessKeyId.name, "accessKeyId"),
    ...fromSecret(names.secretKey.name, "secretKey"),
    ...numbered(claim, plainHeaders).map((value, index) => ({ name: extraHeaderName(index), value })),
  ];
}

export interface ScratchInputs {
  claim: Claim;
  pod: Pod;
  config: CdiConfig | undefined;
  overhead: string;
  /** Overhead of the class scratch space is taken from. */
  scratchOverhead: string;
  options: ControllerOptions;
}

/** The configured class, else the target's; undefined = the cluster's default. */
export const scratchClassOf = (claim: Claim, config: CdiConfig | undefined): string | undefined =>
  config?.status?.scratchSpaceStorageClass || claim.spec.storageClassName;

/** Bytes of a scratch claim: room for all that fits the target. */
export function scratchBytes(claim: Claim, overhead: string, scratchOverhead: string): number {
  const request = parseQuantity(claim.spec.resources?.requests?.storage ?? 0) ?? 0;
  return roundUp(requiredBytes(usableBytes(request, Number(overhead)), Number(scratchOverhead)));
}

export function scratchClaimFor({ claim, pod, config, overhead, scratchOverhead, options }: ScratchInputs): Claim {
  const storageClassName = scratchClassOf(claim, config);
  const kept = Object.entries(claim.metadata.annotations ?? {}).filter(
    ([key]) => key.includes("kubevirt.io/") && !key.includes("cdi.kubevirt.io/"),
  );
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: scratchClaimName(claim.metadata.name ?? ""),
      ...namespaced(claim),
      labels: { ...commonLabels, ...options.installerLabels, [labels.excludeFromBackup]: "true" },
      annotations: Object.fromEntries(kept),
      ownerReferences: [ownedBy(kinds.pod, pod)],
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      volumeMode: "Filesystem",
      resources: { requests: { storage: String(scratchBytes(claim, overhead, scratchOverhead)) } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  };
}

/** The proxy's CA bundle, copied to where the pod can mount it. */
export function proxyConfigMapFor(claim: Claim, pod: Pod, source: ConfigMap): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: proxyConfigMapName(claim.metadata.name ?? ""),
      ...namespaced(claim),
      labels: { ...commonLabels },
      ownerReferences: [ownedBy(kinds.pod, pod)],
    },
    data: source.data ?? {},
  };
}
