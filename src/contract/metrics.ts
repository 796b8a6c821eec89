// Metric names that travel between a data pod and the controller (interfaces/operator-and-monitoring.md, importer.md).
// The importer serves them over TLS on 8443 path /metrics; the controller scrapes them while the pod runs.

/** Percent 0-100, label ownerUID. Current name; `importProgressOld` is what v1.56's controller looks for. */
export const importProgress = "kubevirt_cdi_import_progress_total";
export const importProgressOld = "import_progress";

/** Additive gauges, label ownerUID, from which the controller fills status.transfer. Absent while unknown. */
export const transferMetrics = {
  bytesDone: "kubevirt_cdi_transfer_bytes_done",
  bytesTotal: "kubevirt_cdi_transfer_bytes_total",
  /** Bytes taken from the source so far. */
  bytesRead: "kubevirt_cdi_transfer_bytes_read",
  bytesPerSecond: "kubevirt_cdi_transfer_bytes_per_second",
  /** Where an earlier attempt's bytes were taken up; no series where there were none. */
  resumedFromBytes: "kubevirt_cdi_transfer_resumed_from_bytes",
  /** 1 with an extra label `stage` (datapath's Stage word). */
  stage: "kubevirt_cdi_transfer_stage",
  stageIndex: "kubevirt_cdi_transfer_stage_index",
  stageCount: "kubevirt_cdi_transfer_stage_count",
} as const;
