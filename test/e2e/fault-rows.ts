// What each way of going wrong looks like on a DataVolume: asserted by fault-rows.test.ts with a real server each, and shown
// in docs/reference/faults.md.
import type { DataVolumePhase } from "../../src/api/phases.ts";
import type { FaultCode } from "../../src/lib/faults.ts";

export interface FaultRow {
  readonly when: string;
  readonly code: FaultCode;
  /** Container exits until Failed; "always" is tried without end, "none" means that no container ever starts. */
  readonly attempts: 1 | 2 | 5 | "always" | "none";
  /** Where it ends, or stays. */
  readonly phase: DataVolumePhase;
  /** Which condition tells, and its reason then. */
  readonly condition: "Running" | "Bound";
  readonly reason: string;
  /** That condition's message; its ends are cut off where they hold an address. */
  readonly text: string;
  /** It takes ten minutes to show: only the long tests look. */
  readonly isLong?: boolean;
}

const byExit = (when: string, code: FaultCode, attempts: FaultRow["attempts"], text: string): FaultRow => ({
  when,
  code,
  attempts,
  phase: attempts === "always" ? "ImportInProgress" : "Failed",
  condition: "Running",
  reason: "Error",
  text,
});
/** Nothing has been started: the import waits. */
const waiting = (
  when: string,
  code: FaultCode,
  row: Pick<FaultRow, "phase" | "condition" | "reason" | "text">,
): FaultRow => ({
  when,
  code,
  attempts: "none",
  ...row,
});

const connect = "Unable to connect to http data source: ";
const status = (code: number, words: string): string =>
  `${connect}expected status code 200, got ${code}. Status: ${code} ${words}`;
const head = "Unable to process data: Unable to obtain information about data source: ";
const target = "Unable to process data: Unable to transfer source data to target file: ";
const directory = "Unable to process data: Unable to transfer source data to target directory: ";
const tooSmall = "DataVolume too small to contain image";
const writing = "Unable to process data: unable to write to file: ";

/** Upstream tells a source that failed on the way by this reason, whatever the source. */
const pulling = (when: string, code: FaultCode): FaultRow => ({
  ...byExit(when, code, "always", `${target}failed to pull image: `),
  reason: "ImagePullFailed",
});

export const faultRows: readonly FaultRow[] = [
  byExit("404", "SourceNotFound", 5, status(404, "Not Found")),
  byExit("401", "SourceUnauthorized", 5, status(401, "Unauthorized")),
  byExit("403", "SourceForbidden", 5, status(403, "Forbidden")),
  byExit("410", "SourceGone", 5, status(410, "Gone")),
  byExit("416 to every request", "SourceRefused", 5, status(416, "Range Not Satisfiable")),
  byExit("429 with Retry-After, for ever", "SourceBusy", "always", status(429, "Too Many Requests")),
  byExit("500, for ever", "SourceBusy", "always", status(500, "Internal Server Error")),
  byExit("a host name nobody knows", "HostUnknown", "always", connect),
  byExit("a port nobody listens on", "ConnectionFailed", "always", connect),
  byExit("a certificate of an unknown authority", "UnknownAuthority", 5, connect),
  byExit("an expired certificate", "CertificateExpired", 5, connect),
  byExit("a certificate for another host", "CertificateWrongName", 5, connect),
  byExit("plain HTTP where https was asked for", "TlsFailed", "always", connect),
  byExit("a redirect loop", "RedirectRefused", 5, connect),
  byExit("a redirect to another origin that wants the login", "SourceUnauthorized", 5, connect),
  byExit("an HTML page", "NotAnImage", 2, `${head}the source is an HTML page, not a disk image`),
  byExit("a JSON document", "NotAnImage", 2, `${head}the source is a JSON document, not a disk image`),
  byExit("a zip archive", "NotAnImage", 2, `${head}the source is a zip archive, not a disk image`),
  byExit("noise named .qcow2", "NotAnImage", 2, `${head}the name ends in .qcow2, but `),
  byExit("an empty file", "ImageTooShort", 2, `${head}could not process image header`),
  byExit("a truncated gz", "ImageCorrupt", 2, `${target}unable to decompress gz: `),
  byExit("a truncated xz", "ImageCorrupt", 2, `${target}unable to decompress xz: `),
  byExit("a truncated zst", "ImageCorrupt", 2, `${target}unable to decompress zst: `),
  byExit("a truncated qcow2", "ImageTruncated", 2, "Unable to process data: "),
  byExit("a qcow2 with a backing file", "ImageRefused", 2, "the image is invalid because it has invalid backing file"),
  pulling("Content-Length longer than the body", "SourceCut"),
  byExit("Content-Length shorter than the body, of a gz", "ImageCorrupt", 2, `${target}unable to decompress gz: `),
  pulling("a connection cut in the middle", "SourceCut"),
  { ...pulling("a server that stops sending, and keeps the connection", "SourceStalled"), isLong: true },
  byExit("a claim too small for a raw image", "TargetTooSmall", 2, tooSmall),
  byExit("a claim too small for what unpacks", "TargetTooSmall", 2, tooSmall),
  byExit("a claim too small for a qcow2's virtual size", "TargetTooSmall", 2, tooSmall),
  byExit("a qcow2 of 200 KiB, and of 1 TiB as it says itself", "TargetTooSmall", 2, tooSmall),
  byExit("a qcow2 of a size that its own tables do not cover", "ImageCorrupt", 2, "Unable to process data: "),
  byExit("the disk behind the claim fills up", "TargetFull", "always", tooSmall),
  byExit("a target that is read-only", "TargetReadOnly", "always", writing),
  byExit("the target's device is gone", "TargetIo", "always", writing),
  byExit("an archive that is no tar", "ArchiveInvalid", 2, `${directory}the tar archive is damaged: `),
  byExit(
    "an archive that ends too early",
    "ArchiveInvalid",
    2,
    `${directory}the tar archive is damaged: it ends within `,
  ),
  byExit(
    "an archive with a name that leads out of the volume",
    "ArchiveInvalid",
    2,
    `${directory}the tar archive is refused: "../new" leads out of the volume`,
  ),
  byExit(
    "an archive that writes through a link",
    "ArchiveInvalid",
    2,
    `${directory}the tar archive is refused: an entry would be written through the link "a"`,
  ),
  byExit("an archive larger than its claim", "TargetTooSmall", 2, tooSmall),
  byExit(
    "an archive onto a block device",
    "ConfigInvalid",
    2,
    "Unable to process data: content type archive needs a Filesystem volume; ",
  ),
  {
    ...byExit("the wrong checksum", "ChecksumMismatch", 1, "checksum validation failed: checksum mismatch: expected "),
    reason: "ChecksumError",
  },
  {
    ...byExit("killed at the memory limit", "MemoryExceeded", "always", ""),
    reason: "OOMKilled",
  },
  waiting("the claim would exceed a quota", "QuotaExceeded", {
    phase: "Pending",
    condition: "Bound",
    reason: "ErrExceededQuota",
    text: "exceeded quota: small, requested: requests.storage=16Mi, used: requests.storage=0, limited: requests.storage=8Mi",
  }),
  waiting("the pod would exceed a quota", "QuotaExceeded", {
    phase: "ImportScheduled",
    condition: "Running",
    reason: "ErrExceededQuota",
    text: "Error starting pod 'importer-",
  }),
  waiting("the scratch claim would exceed a quota", "QuotaExceeded", {
    phase: "ImportScheduled",
    condition: "Bound",
    reason: "ErrExceededQuota",
    text: "Error creating scratch space: ",
  }),
  waiting("the Secret of its login is missing", "ObjectMissing", {
    phase: "ImportScheduled",
    condition: "Running",
    reason: "CreateContainerConfigError",
    text: 'secret "rows-nowhere" not found',
  }),
  waiting("the Secret of its login lacks a key", "ObjectMissing", {
    phase: "ImportScheduled",
    condition: "Running",
    reason: "CreateContainerConfigError",
    text: "couldn't find key secretKey in Secret default/rows-half",
  }),
  waiting("the ConfigMap of its certificates is missing", "ObjectMissing", {
    phase: "ImportScheduled",
    condition: "Running",
    reason: "ContainerCreating",
    text: 'MountVolume.SetUp failed for volume "cdi-cert-vol" : configmap "rows-nowhere" not found',
  }),
  waiting("the storage class of its claim is missing", "ObjectMissing", {
    phase: "Pending",
    condition: "Bound",
    reason: "Pending",
    text: 'storageclass.storage.k8s.io "rows-nowhere" not found',
  }),
  waiting("the storage class of spec.storage is missing, and no access mode is given", "ObjectMissing", {
    phase: "",
    condition: "Bound",
    reason: "ErrClaimNotValid",
    text: "PVC spec is missing accessMode and no storageClass to choose profile",
  }),
];

/** Passing trouble, after which the import ends well. */
export const fineRows = [
  "500 three times, then fine",
  "503 three times, then fine",
  "429 with Retry-After once, then fine",
  "a slow start: three seconds before the first answer",
  "no ranges and no validator",
] as const;
