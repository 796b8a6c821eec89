// Every value `status.phase` of a DataVolume may have (interfaces/datavolume-lifecycle.md section 1). "" is a new object.

export const dataVolumePhases = [
  "",
  "Pending",
  "WaitForFirstConsumer",
  "PendingPopulation",
  "PVCBound",
  "ImportScheduled",
  "ImportInProgress",
  "Paused",
  "UploadScheduled",
  "UploadReady",
  "CloneScheduled",
  "CloneInProgress",
  "SnapshotForSmartCloneInProgress",
  "CloneFromSnapshotSourceInProgress",
  "CSICloneInProgress",
  "PrepClaimInProgress",
  "RebindInProgress",
  "ExpansionInProgress",
  "NamespaceTransferInProgress",
  "SmartClonePVCInProgress",
  "Succeeded",
  "Failed",
  "Unknown",
] as const;
export type DataVolumePhase = (typeof dataVolumePhases)[number];

/** Phases a DataVolume does not leave by itself. */
export const isFinalPhase = (phase: DataVolumePhase): boolean => phase === "Succeeded" || phase === "Failed";
