// What an installation is told: where it goes, which images, and the labels all of its objects carry.
import { appName, labels } from "../../api/labels.ts";
import type { KubeObject } from "../../api/meta.ts";

export interface Install {
  namespace: string;
  /** Shown in labels, such as "v1.66.0-cdi.1". */
  version: string;
  images: Record<"controller" | "importer" | "apiserver" | "uploadProxy" | "uploadServer", string>;
  pullPolicy: "Always" | "IfNotPresent" | "Never";
  /** 1 is quiet, 3 tells every write. */
  verbosity: number;
}

export const controllerAccount = "cdi-sa";
export const controllerDeployment = "cdi-deployment";
export const apiServerName = "cdi-apiserver";
export const uploadProxyName = "cdi-uploadproxy";
export const leaderLease = "cdi-controller-leader-election-helper";

/** Labels of an object the installation makes. `component` is the value of the bare cdi.kubevirt.io label. */
export const installLabels = (install: Install, component = ""): Record<string, string> => ({
  [labels.component]: component,
  [labels.managedBy]: "cdi-operator",
  [labels.kubernetesComponent]: "storage",
  [labels.partOf]: appName,
  [labels.version]: install.version,
});

/** An object without a namespace of its own. */
export const clusterObject = (
  install: Install,
  apiVersion: string,
  kind: string,
  name: string,
  fields: Record<string, unknown> = {},
): KubeObject => ({ apiVersion, kind, metadata: { name, labels: installLabels(install) }, ...fields });

/** An object in the installation's namespace. */
export const installedObject = (
  install: Install,
  apiVersion: string,
  kind: string,
  name: string,
  fields: Record<string, unknown> = {},
): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: install.namespace, labels: installLabels(install) },
  ...fields,
});
