// The Deployment of the controllers: names, ports, probes and environment are those of upstream's, so that monitoring and
// runbooks fit; the pod meets the restricted pod security standard.
import { labels } from "../../api/labels.ts";
import { metricsPort } from "../../contract/paths.ts";
import {
  controllerAccount,
  controllerDeployment,
  installedObject,
  installLabels,
  type Install,
} from "./install.ts";
import type { Container, PodSpec } from "../../api/core.ts";
import type { KubeObject } from "../../api/meta.ts";

/** The controller makes this file once its caches are filled. */
export const readyFile = "/tmp/ready";

export function controllerDeploymentFor(install: Install): KubeObject {
  const podLabels = {
    ...installLabels(install, controllerDeployment),
    [labels.prometheus]: "true",
    [labels.allowClusterServices]: "true",
  };
  const object = installedObject(install, "apps/v1", "Deployment", controllerDeployment, {
    spec: {
      replicas: 1,
      selector: { matchLabels: { [labels.component]: controllerDeployment } },
      template: { metadata: { labels: podLabels }, spec: podSpec(install) },
    },
  });
  return { ...object, metadata: { ...object.metadata, labels: installLabels(install, controllerDeployment) } };
}

function podSpec(install: Install): PodSpec {
  return {
    serviceAccountName: controllerAccount,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    nodeSelector: { "kubernetes.io/os": "linux" },
    terminationGracePeriodSeconds: 30,
    containers: [container(install)],
    // The root file system is read-only; the ready file and temporary files live here.
    volumes: [{ name: "tmp", emptyDir: {} }],
  };
}

interface ProbedContainer extends Container {
  readinessProbe: object;
}

function container(install: Install): ProbedContainer {
  return {
    name: controllerDeployment,
    image: install.images.controller,
    imagePullPolicy: install.pullPolicy,
    args: [`-v=${install.verbosity}`],
    env: [
      { name: "IMPORTER_IMAGE", value: install.images.importer },
      { name: "UPLOADSERVER_IMAGE", value: install.images.uploadServer },
      { name: "UPLOADPROXY_SERVICE", value: "cdi-uploadproxy" },
      { name: "PULL_POLICY", value: install.pullPolicy },
      { name: "INSTALLER_PART_OF_LABEL", value: installLabels(install)[labels.partOf] ?? "" },
      { name: "INSTALLER_VERSION_LABEL", value: install.version },
    ],
    ports: [{ name: "metrics", containerPort: metricsPort, protocol: "TCP" }],
    readinessProbe: {
      exec: { command: ["cat", readyFile] },
      initialDelaySeconds: 2,
      periodSeconds: 5,
      timeoutSeconds: 1,
      failureThreshold: 3,
    },
    resources: { requests: { cpu: "100m", memory: "150Mi" } },
    securityContext: {
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
  };
}
