// The objects an import is done with: importer pod, copy of the proxy's CA bundle (interfaces/importer.md 2, 3, 6).
import { annotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, ConfigMap, EnvVar, Pod, PodVolume } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { commonLabels, components, labels } from "../../api/labels.ts";
import { extraHeaderName, importerEnv } from "../../contract/importer-env.ts";
import { nodePull } from "../../contract/node-pull.ts";
import { metricsPort, podPaths } from "../../contract/paths.ts";
import type { ControllerOptions } from "../options.ts";
import { importerContainer } from "../parts/fault-of-pod.ts";
import { annotationOf } from "../parts/claim-facts.ts";
import { importerPodName, proxyConfigMapName } from "../parts/names.ts";
import {
  checkpointVolumes,
  diskVolumes,
  namespaced,
  ownedBy,
  workerPodFor,
  type Mounted,
} from "../parts/worker-pod.ts";
import { importSourceOf } from "./claim-facts.ts";
import { besideImporter, isNodePull, sharedVolume } from "./node-pull.ts";

export interface PodInputs {
  claim: Claim;
  config: CdiConfig | undefined;
  /** Decimal text of the target's file system overhead. */
  overhead: string;
  withScratch: boolean;
  options: ControllerOptions;
}

/** Label ownerUID of the metrics: the claim's only owner, else the claim itself. */
export function ownerUidOf(claim: Claim): string {
  const owners = claim.metadata.ownerReferences ?? [];
  return (owners.length === 1 ? owners[0]?.uid : undefined) ?? claim.metadata.uid ?? "";
}

export function importerPodFor(inputs: PodInputs): Pod {
  const { claim, config, options } = inputs;
  const beside = isNodePull(claim) ? besideImporter(claim, options.importerImage) : undefined;
  return workerPodFor({
    claim,
    config,
    options,
    name: annotationOf(claim, annotations.importPodName) ?? importerPodName(claim.metadata.name ?? ""),
    component: components.importer,
    labels: { [labels.prometheus]: "true" },
    ...beside,
    annotations: { [annotations.createdByController]: "yes", ...beside?.annotations },
    mounted: volumesOf(inputs),
    container: {
      name: importerContainer,
      image: options.importerImage,
      ports: [{ name: "metrics", containerPort: metricsPort, protocol: "TCP" }],
      env: envOf(inputs),
    },
  });
}

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
function volumesOf({ claim, config, withScratch }: PodInputs): Mounted[] {
  const name = claim.metadata.name ?? "";
  const rows: Mounted[] = [...diskVolumes(claim, withScratch), ...checkpointVolumes(claim, "16Mi")];
  if (isNodePull(claim)) rows.push(sharedVolume);
  const certs = certificatesOf(claim);
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

/** A node has its own certificates and credentials. */
const certificatesOf = (claim: Claim): string | undefined =>
  isNodePull(claim) ? undefined : annotationOf(claim, annotations.importCertConfigMap);

function envOf({ claim, config, overhead, options }: PodInputs): EnvVar[] {
  const get = (key: string): string => annotationOf(claim, key) ?? "";
  const proxy = config?.status?.importProxy;
  const fromNode = isNodePull(claim);
  const secret = fromNode ? undefined : annotationOf(claim, annotations.importSecretName);
  const certs = certificatesOf(claim);
  const isRegistry = importSourceOf(claim) === "registry" && !fromNode;
  const plain: EnvVar[] = importerEnv.write({
    source: fromNode ? "http" : importSourceOf(claim),
    endpoint: fromNode ? nodePull.endpoint : get(annotations.importEndpoint),
    contentType: get(annotations.contentType) === "archive" ? "archive" : "kubevirt",
    imageSize: String(claim.spec.resources?.requests?.storage ?? ""),
    ownerUid: ownerUidOf(claim),
    filesystemOverhead: overhead,
    insecureTls: isRegistry
      ? isInsecureRegistry(get(annotations.importEndpoint), config)
      : get(annotations.importInsecureSkipVerify) === "true",
    diskId: "",
    uuid: "",
    pullMethod: get(annotations.registryImportMethod),
    readyFile: fromNode ? nodePull.readyFile : "",
    doneFile: fromNode ? nodePull.doneFile : "",
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
    registryImageArchitecture: get(annotations.registryImageArchitecture),
    checksum: get(annotations.importChecksum),
    accessKeyId: undefined,
    secretKey: undefined,
    certDir: certs ? podPaths.certs : undefined,
    proxyCertDir: proxy?.trustedCAProxy ? `${podPaths.proxyCerts}/` : undefined,
    format: annotationOf(claim, annotations.importFormat),
    registryAuth: undefined,
    addressRules: options.addressRules,
  });
  const names = importerEnv.variables;
  const fromSecret = (name: string, key: string, optional = false): EnvVar[] =>
    secret ? [{ name, valueFrom: { secretKeyRef: { name: secret, key, ...(optional ? { optional } : {}) } } }] : [];
  return [
    ...plain,
    // A registry's secret may be of Kubernetes' own shape, a docker config, instead.
    ...fromSecret(names.accessKeyId.name, "accessKeyId", isRegistry),
    ...fromSecret(names.secretKey.name, "secretKey", isRegistry),
    ...(isRegistry ? fromSecret(names.registryAuth.name, ".dockerconfigjson", true) : []),
    ...numbered(claim, plainHeaders).map((value, index) => ({ name: extraHeaderName(index), value })),
  ];
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

/** Exactly that host and port, and only for images of registries. */
function isInsecureRegistry(endpoint: string, config: CdiConfig | undefined): boolean {
  const host = /^docker:\/\/([^/]+)/.exec(endpoint)?.[1];
  return host !== undefined && (config?.spec.insecureRegistries ?? []).includes(host);
}
