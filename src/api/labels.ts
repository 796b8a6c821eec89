// Label and finalizer keys this release reads or writes, and the labels every object it makes carries
// (interfaces/annotations-and-labels.md sections 7 and 9).

export const labels = {
  app: "app",
  /** Which component an object belongs to: `components`. */
  component: "cdi.kubevirt.io",
  /** "true" on pods that serve metrics. */
  prometheus: "prometheus.cdi.kubevirt.io",
  managedBy: "app.kubernetes.io/managed-by",
  kubernetesComponent: "app.kubernetes.io/component",
  partOf: "app.kubernetes.io/part-of",
  version: "app.kubernetes.io/version",
  /** "disabled" on filesystem claims: they are filled to the brim on purpose. */
  fillingUpAlert: "alerts.k8s.io/KubePersistentVolumeFillingUp",
  /** "true" on prime and scratch claims. */
  excludeFromBackup: "velero.io/exclude-from-backup",
  /** "true" on control-plane pods. */
  allowClusterServices: "np.kubevirt.io/allow-access-cluster-services",
  /** "true" on a claim: the webhook renders it from its profile. */
  applyStorageProfile: "cdi.kubevirt.io/applyStorageProfile",
  /** On an upload pod: UID of the claim. */
  uploadTarget: "cdi.kubevirt.io/uploadTarget",
  /** On an upload pod: name of its Service, which selects it by this. */
  service: "service",
  /** Marks objects of the operator's making. */
  operator: "operator.cdi.kubevirt.io",
} as const;

/** Values of `labels.component`. */
export const components = {
  importer: "importer",
  uploadServer: "cdi-upload-server",
  config: "",
} as const;

/** Value of `labels.app`. */
export const appName = "containerized-data-importer";

/** On every pod, claim and service the controllers make. */
export const commonLabels = {
  [labels.app]: appName,
  [labels.managedBy]: "cdi-controller",
  [labels.kubernetesComponent]: "storage",
} as const;

export const finalizers = {
  /** Held by a DataVolume with a cross-namespace clone. */
  dataVolume: "cdi.kubevirt.io/dataVolumeFinalizer",
  /** Kubernetes' own, on claims in use. */
  claimProtection: "kubernetes.io/pvc-protection",
  /** Kubernetes' own, on bound volumes. */
  volumeProtection: "kubernetes.io/pv-protection",
} as const;

const namePart = /^[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const prefixPart = /^(?=.{1,253}\/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\/(.*)$/s;

/** Whether an API server takes it as a label. */
export function isLabel(key: string, value: string): boolean {
  const name = key.includes("/") ? (prefixPart.exec(key)?.[1] ?? "") : key;
  return namePart.test(name) && (value === "" || namePart.test(value));
}

/** Labels of KubeVirt travel between a claim and the objects around it; those of this project stay where they are. */
export const isTravelling = (key: string): boolean =>
  /^(?:[\w.]+\.)?kubevirt\.io\/./.test(key) && !key.startsWith("cdi.kubevirt.io/");
