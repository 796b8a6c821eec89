// The objects an upload is done with: server pod, its Service, its certificate secret (interfaces/upload.md section 3).
import { annotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { Claim, KubeSecret, Pod } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { commonLabels, components, labels } from "../../api/labels.ts";
import type { KubeObject } from "../../api/meta.ts";
import { uploadPodName, uploadServiceName } from "../../contract/names.ts";
import { podPaths, uploadTlsFiles } from "../../contract/paths.ts";
import { tlsProfileOf } from "../../contract/tls-profile.ts";
import { uploadEnv } from "../../contract/upload-env.ts";
import { healthPath, uploadClientName, uploadPort } from "../../contract/upload-routes.ts";
import { stamp } from "../../lib/clock.ts";
import type { ControllerOptions } from "../options.ts";
import { annotationOf } from "../parts/claim-facts.ts";
import {
  checkpointVolumes,
  diskVolumes,
  isBlock,
  namespaced,
  ownedBy,
  workerPodFor,
  type Mounted,
} from "../parts/worker-pod.ts";

export const uploadContainer = "cdi-upload-server";

/** Of a qcow2 in a stream two checkpoints may be there at a time, each with what its pass knows. */
const checkpointLimit = "64Mi";

export interface UploadPodInputs {
  claim: Claim;
  config: CdiConfig | undefined;
  /** Decimal text of the target's file system overhead. */
  overhead: string;
  withScratch: boolean;
  options: ControllerOptions;
  /** When the server is to end and be made anew with a new certificate, ms since the epoch. */
  deadlineMs: number;
}

const createdBy = { [annotations.createdByUploadController]: "yes" };

export function uploadPodFor(inputs: UploadPodInputs): Pod {
  const { claim, config, options, withScratch } = inputs;
  const name = annotationOf(claim, annotations.uploadPodName) ?? uploadPodName(claim.metadata.name ?? "");
  const certificate: Mounted = {
    volume: { name: "tls-config", secret: { secretName: name } },
    path: podPaths.uploadTls,
  };
  return workerPodFor({
    claim,
    config,
    options,
    name,
    component: components.uploadServer,
    labels: {
      [labels.service]: uploadServiceName(claim.metadata.name ?? ""),
      [labels.uploadTarget]: claim.metadata.uid ?? "",
    },
    annotations: {
      ...createdBy,
      [annotations.ovnOpenPorts]: JSON.stringify([{ protocol: "tcp", port: uploadPort }]),
    },
    mounted: [...diskVolumes(claim, withScratch), ...checkpointVolumes(claim, checkpointLimit), certificate],
    container: {
      name: uploadContainer,
      image: options.uploadServerImage ?? "",
      env: envOf(inputs),
      readinessProbe: {
        httpGet: { path: healthPath, port: uploadPort, scheme: "HTTPS" },
        initialDelaySeconds: 2,
        periodSeconds: 5,
      },
    },
  });
}

function envOf({ claim, config, overhead, deadlineMs }: UploadPodInputs): { name: string; value: string }[] {
  const profile = tlsProfileOf(config?.spec.tlsSecurityProfile);
  return uploadEnv.write({
    tlsKeyFile: uploadTlsFiles.key,
    tlsCertFile: uploadTlsFiles.cert,
    clientCertFile: uploadTlsFiles.clientCa,
    tlsKey: undefined,
    tlsCert: undefined,
    clientCert: undefined,
    filesystemOverhead: overhead,
    imageSize: String(claim.spec.resources?.requests?.storage ?? ""),
    clientName: uploadClientName,
    preallocation: annotationOf(claim, annotations.preallocationRequested) === "true",
    tlsCiphers: profile.ciphers.join(","),
    tlsMinVersion: profile.minVersion,
    destination: isBlock(claim) ? podPaths.blockDevice : undefined,
    deadline: stamp(deadlineMs),
    listenAddress: undefined,
    listenPort: undefined,
  });
}

/** Headless: the name is the pod's address. */
export function uploadServiceFor(claim: Claim, options: ControllerOptions): KubeObject {
  const name = uploadServiceName(claim.metadata.name ?? "");
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      ...namespaced(claim),
      labels: { ...commonLabels, ...options.installerLabels, [labels.component]: components.uploadServer },
      annotations: createdBy,
      ownerReferences: [ownedBy(kinds.claim, claim)],
    },
    spec: {
      clusterIP: "None",
      ports: [{ protocol: "TCP", port: uploadPort, targetPort: uploadPort }],
      selector: { [labels.service]: name },
    },
  };
}

/** What a server shows and whom it believes; PEM. */
export interface ServerIdentity {
  certificate: string;
  key: string;
  clientCa: string;
}

export function certificateSecretFor(pod: Pod, identity: ServerIdentity, options: ControllerOptions): KubeSecret {
  const { name = "", namespace = "" } = pod.metadata;
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace,
      labels: { ...commonLabels, ...options.installerLabels, [labels.component]: components.uploadServer },
      annotations: createdBy,
      ownerReferences: [ownedBy(kinds.pod, pod)],
    },
    type: "Opaque",
    data: {
      "tls.crt": base64(identity.certificate),
      "tls.key": base64(identity.key),
      "ca.crt": base64(identity.clientCa),
    },
  };
}
