// Additive annotations on a claim by which the pod side hands facts to the DataVolume side, and to its own next run.

const cdi = <K extends string>(key: K) => `cdi.kubevirt.io/${key}` as const;

export const ourAnnotations = {
  /** Catalog code of the last fault; absent while all is well. */
  importCode: cdi("storage.import.code"),
  /** The data path's stage in which that fault came. */
  importStage: cdi("storage.import.stage"),
  /** Failed container exits of the pod so far, as the kubelet counts them. */
  importAttempt: cdi("storage.import.attempt"),
  /** "true" once the source has sent a byte: from then on no HTTP status is final. */
  importDelivered: cdi("storage.import.delivered"),
  /** The value of `storage.import.retry` that was already used up. */
  importRetried: cdi("storage.import.retried"),
  /** On an importer pod that nobody owns: UID of the claim it fills. */
  claimUid: cdi("storage.import.claimUID"),
} as const;
