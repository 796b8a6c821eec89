// What an importer pod's container says about failures: how often it exited, how the last exit went, and which fault of the
// catalog that was - by our exit status, or by upstream's text where an upstream importer runs.
import type { ContainerStatus, Pod, TerminatedState } from "../../api/core.ts";
import { readTermination, scratchNeededExitOld, type TerminationMessage } from "../../contract/termination.ts";
import { codeOfExit, type FaultCode } from "../../lib/faults.ts";

/** The container whose exit is the import's. */
export const importerContainer = "importer";

export const statusOf = (pod: Pod): ContainerStatus | undefined =>
  pod.status?.containerStatuses?.find((one) => one.name === importerContainer) ?? pod.status?.containerStatuses?.[0];

/** The last exit of a container that is not running now; undefined while it runs or before it ever ended. */
export function lastExit(pod: Pod): TerminatedState | undefined {
  const status = statusOf(pod);
  if (!status || status.state?.running) return undefined;
  return status.state?.terminated ?? status.lastState?.terminated;
}

/** Container exits so far: restarts, and the exit that has not been answered by a restart yet. */
export function exitsOf(pod: Pod): number {
  const status = statusOf(pod);
  if (!status) return 0;
  return status.restartCount + (lastExit(pod) ? 1 : 0);
}

/** JSON counts at exit 0 only; anything else is text of a failure or of v1.56. */
export const messageOf = (exit: TerminatedState): TerminationMessage | undefined =>
  exit.exitCode === 0 ? readTermination(exit.message ?? "") : undefined;

export const saysScratchNeeded = (exit: TerminatedState): boolean =>
  exit.exitCode === scratchNeededExitOld || messageOf(exit)?.scratchSpaceRequired === true;

export const saysChecksumMismatch = (exit: TerminatedState): boolean =>
  messageOf(exit)?.message?.includes("checksum mismatch") ?? false;

/** Upstream's texts, most telling first. What is not here is taken for passing (compat.md). */
const texts: readonly (readonly [RegExp, FaultCode])[] = [
  [/checksum mismatch/, "ChecksumMismatch"],
  [/is larger than the reported available|file largest block is bigger than maxblock/, "TargetTooSmall"],
  [/no space left on device/, "TargetFull"],
  [/disk quota exceeded/, "QuotaExceeded"],
  [/Failed to find VM disk image file in the container image|Cannot locate image file/, "NoDiskInImage"],
  [/no image found in image index for architecture|Error validating architecture/, "PlatformMissing"],
  [/bootc image detected|Error sanitizing archive path/, "ImageRefused"],
  [/Could not parse image/, "ConfigInvalid"],
  [/manifest unknown|name unknown/, "SourceNotFound"],
  [/unauthorized|authentication required/, "SourceUnauthorized"],
  [/requested access to the resource is denied/, "SourceForbidden"],
  [/expected status code 200, got 401/, "SourceUnauthorized"],
  [/expected status code 200, got 403/, "SourceForbidden"],
  [/expected status code 200, got 404/, "SourceNotFound"],
  [/expected status code 200, got 410/, "SourceGone"],
  [/expected status code 200, got (408|425|429|5\d\d)/, "SourceBusy"],
  [/expected status code 200, got \d+/, "SourceRefused"],
  [/x509: certificate signed by unknown authority/, "UnknownAuthority"],
  [/x509: certificate has expired or is not yet valid/, "CertificateExpired"],
  [
    /x509: (certificate is valid for|cannot validate certificate for|certificate is not valid for any names)/,
    "CertificateWrongName",
  ],
  [/no such host|server misbehaving/, "HostUnknown"],
  [/^Timeout waiting for file /, "ImageNotServed"],
  [/connection refused|no route to host|network is unreachable/, "ConnectionFailed"],
  [/connection reset by peer|unexpected EOF/, "SourceCut"],
  [/could not process image header/, "ImageTooShort"],
  [/Invalid format \S+ for image/, "FormatUnsupported"],
  [/invalid because it has invalid backing file/, "ImageRefused"],
  [/^Unknown data source: /, "SourceUnknown"],
];

/** The fault of an exit that was not a success. */
export function faultOfExit(exit: TerminatedState): FaultCode {
  if (saysChecksumMismatch(exit)) return "ChecksumMismatch";
  const text = exit.message ?? "";
  return codeOfExit(exit.exitCode) ?? texts.find(([pattern]) => pattern.test(text))?.[1] ?? "Unclassified";
}

/** What a text says of where it came: upstream's words, and the stage of the data path (interfaces/importer.md 5.1). */
const stages: readonly (readonly [RegExp, string])[] = [
  [/^Unable to connect to |Unable to obtain information about data source/, "connecting"],
  [/Unable to transfer source data to scratch space/, "downloading"],
  [/Unable to transfer source data to target (file|directory)/, "transferring"],
  [/Unable to convert source data to target format/, "converting"],
  [/Unable to resize disk image to requested size/, "finishing"],
];

/** @returns undefined where the text does not tell */
export const stageOfExit = (exit: TerminatedState): string | undefined =>
  stages.find(([pattern]) => pattern.test(exit.message ?? ""))?.[1];

/** Texts of failures that came after the source had answered with bytes begin so (importer.md section 4.1). */
export const cameAfterBytes = (exit: TerminatedState): boolean =>
  (exit.message ?? "").startsWith("Unable to process data: ") && !(exit.message ?? "").includes(registryWords);

/** A registry's failures are told within the transfer, also when no byte came. */
const registryWords = "Failed to read registry image";

const tooSmall =
  /is larger than the reported available|no space left on device|file largest block is bigger than maxblock|disk quota exceeded/;

/** Upstream's one sentence for every way a target can be too small. */
export const simplified = (text: string): string =>
  tooSmall.test(text) ? "DataVolume too small to contain image" : text;
