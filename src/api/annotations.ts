// Annotation keys this release reads or writes, by their meaning (interfaces/annotations-and-labels.md).

const cdi = <K extends string>(key: K) => `cdi.kubevirt.io/${key}` as const;

export const annotations = {
  // Set by users on a DataVolume or claim.
  /** Presence: population does not wait for the first consumer. We write "" where the gate is off. */
  bindImmediate: cdi("storage.bind.immediate.requested"),
  /** Name of a claim that will appear already filled; presence counts. */
  prePopulated: cdi("storage.prePopulated"),
  /** On a claim: the DataVolume it needs no population for. */
  populatedFor: cdi("storage.populatedFor"),
  /** Presence: use a static volume whose claimRef names this DataVolume, if there is one. */
  checkStaticVolume: cdi("storage.checkStaticVolume"),
  /** On a claim made for static volumes, until it is bound: their names, as JSON. */
  persistentVolumeList: cdi("storage.persistentVolumeList"),
  /** Go bool text: a claim of the DataVolume's name may be adopted. */
  allowClaimAdoption: cdi("allowClaimAdoption"),
  /** "true" or "false": populator or legacy road. Written by us on every DataVolume that lacks it. */
  usePopulator: cdi("storage.usePopulator"),
  /** "true": worker pods are kept after completion. */
  podRetainAfterCompletion: cdi("storage.pod.retainAfterCompletion"),
  /** Accepted and ignored: there is no garbage collection of DataVolumes. */
  deleteAfterCompletion: cdi("storage.deleteAfterCompletion"),
  /** On a claim: priority class of its worker pods. */
  podPriorityClassName: cdi("storage.pod.priorityclassname"),
  /** On a claim: service account of its worker pods. */
  podServiceAccountName: cdi("storage.pod.serviceAccountName"),
  /** Multus networks, copied to worker pods. */
  multusNetworks: "k8s.v1.cni.cncf.io/networks",
  /** Multus default network, copied to worker pods. */
  multusDefaultNetwork: "v1.multus-cni.io/default-network",
  /** Copied to worker pods; "false" where nobody says. */
  istioInject: "sidecar.istio.io/inject",
  /** Copied to worker pods; "disabled" where nobody says. */
  linkerdInject: "linkerd.io/inject",
  /** Any new value tries a Failed import again (ours, additive). */
  importRetry: cdi("storage.import.retry"),
  /** "true": no fault ever makes the import Failed (ours, additive). */
  importRetryForever: cdi("storage.import.retryForever"),
  /** "raw": take the bytes as they are (ours, additive). */
  importFormat: cdi("storage.import.format"),

  // The import job, on the claim.
  importSource: cdi("storage.import.source"),
  importEndpoint: cdi("storage.import.endpoint"),
  importSecretName: cdi("storage.import.secretName"),
  importCertConfigMap: cdi("storage.import.certConfigMap"),
  /** "true": the server's certificate is not checked. */
  importInsecureSkipVerify: cdi("storage.import.insecureSkipVerify"),
  /** "algorithm:hex". */
  importChecksum: cdi("storage.import.checksum"),
  /** pod or node. */
  registryImportMethod: cdi("storage.import.registryImportMethod"),
  /** "true": the endpoint names an ImageStream. */
  registryImageStream: cdi("storage.import.registryImageStream"),
  /** Go's name of an architecture. */
  registryImageArchitecture: cdi("storage.import.registryImageArchitecture"),
  /** kubevirt or archive; anything else means kubevirt. */
  contentType: cdi("storage.contentType"),
  /** "true" or "false", always written. */
  preallocationRequested: cdi("storage.preallocation.requested"),
  /** Name of the importer pod, and the mark that an import was started. */
  importPodName: cdi("storage.import.importPodName"),
  /** "true": the next pod gets scratch space; "false" once the scratch claim exists. */
  importRequiresScratch: cdi("storage.import.requiresScratch"),
  /** "true" after an OOM kill: the next pod runs with CACHE_MODE=TRYNONE. */
  importRequiresDirectIo: cdi("storage.import.requiresDirectIo"),
  /** "true": never tried again. */
  importFatalError: cdi("storage.import.fatalError"),
  /** Presence: the claim is an upload target, so the import controllers leave it alone. */
  uploadTarget: cdi("storage.upload.target"),
  /** "true": something else fills the claim. */
  externalPopulation: cdi("externalPopulation"),
  /** "ns/name": the claim is a clone target, so the import controllers leave it alone. */
  cloneRequest: "k8s.io/CloneRequest",

  // Progress and state, on the claim.
  /** Mirror of the worker pod's phase. */
  podPhase: cdi("storage.pod.phase"),
  /** Name of the upload server pod. */
  uploadPodName: cdi("storage.uploadPodName"),
  /** Common name a clone source shows the upload server. */
  uploadClientName: cdi("uploadClientName"),
  /** "true" when all of the worker pod's containers are ready. */
  podReady: cdi("storage.pod.ready"),
  /** Whole number text; "0" at first, never decreases. */
  podRestarts: cdi("storage.pod.restarts"),
  /** "false" while the scheduler finds no node. */
  podSchedulable: cdi("storage.pod.schedulable"),
  runningCondition: cdi("storage.condition.running"),
  runningConditionMessage: cdi("storage.condition.running.message"),
  runningConditionReason: cdi("storage.condition.running.reason"),
  sourceRunningCondition: cdi("storage.condition.source.running"),
  sourceRunningConditionMessage: cdi("storage.condition.source.running.message"),
  sourceRunningConditionReason: cdi("storage.condition.source.running.reason"),
  boundCondition: cdi("storage.condition.bound"),
  boundConditionMessage: cdi("storage.condition.bound.message"),
  boundConditionReason: cdi("storage.condition.bound.reason"),
  /** "true" once preallocation was done. */
  preallocation: cdi("storage.preallocation"),
  /** UID of the DataVolume that made the claim. */
  createdForDataVolume: cdi("createdForDataVolume"),
  /** UID used as the label ownerUID of metrics. */
  ownerUid: cdi("ownerUID"),
  /** Name of the prime claim, on the target. */
  populatorPrime: cdi("storage.populator.pvcPrime"),
  populatorKind: cdi("storage.populator.kind"),
  populatorProgress: cdi("storage.populator.progress"),
  /** "*" on the pod of an ImageStream: OpenShift puts the image's address in the place of the stream's name. */
  resolveNames: "alpha.image.policy.openshift.io/resolve-names",
  /** Label of a node, Go's name of its architecture. */
  nodeArchitecture: "kubernetes.io/arch",
  /** Node the scheduler chose, on a claim that waits for its first consumer. */
  selectedNode: "volume.kubernetes.io/selected-node",

  // Pods and scratch claims we make.
  /** "yes" on importer pods and their secrets. */
  createdByController: cdi("storage.createdByController"),
  /** "yes" on upload pods, their services and secrets. */
  createdByUploadController: cdi("storage.createdByUploadController"),
  /** Opens the upload server's port where OVN keeps all others closed. */
  ovnOpenPorts: "k8s.ovn.org/open-default-ports",

  // Storage classes and profiles.
  /** "true": Kubernetes' default class. */
  defaultClass: "storageclass.kubernetes.io/is-default-class",
  /** "true": preferred for contentType kubevirt. */
  defaultVirtClass: "storageclass.kubevirt.io/is-default-virt-class",
  /** Clone strategy named by a class. */
  cloneStrategy: cdi("clone-strategy"),
  /** Quantity: floor of a claim's size, on a profile. */
  minimumSupportedSize: cdi("minimumSupportedPvcSize"),
} as const;
export type Annotation = (typeof annotations)[keyof typeof annotations];

/** Header text, `index` from 0. */
export const extraHeaderAnnotation = (index: number): string => cdi(`storage.import.extraHeaders.${index}`);
/** Name of a Secret with header lines, `index` from 0. */
export const secretExtraHeaderAnnotation = (index: number): string => cdi(`storage.import.secretExtraHeaders.${index}`);

/** Copied from the claim to every worker pod. */
export const podNetworkAnnotations = [
  annotations.multusNetworks,
  annotations.multusDefaultNetwork,
  annotations.istioInject,
  annotations.linkerdInject,
] as const;
