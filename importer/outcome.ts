// How an import's end is said: exit status and termination text, for a current controller and for one of v1.56
// (compat.md, "How a failure travels"; interfaces/importer.md 4.1 and 5.1). Pure.
import {
  importComplete,
  scratchNeededExitOld,
  oneTerminationLine,
  terminationLimitBytes,
  writeTermination,
  type TerminationMessage,
} from "../src/contract/termination.ts";
import type { Ending } from "../src/contract/termination-log.ts";
import type { Stage } from "../src/datapath/index.ts";
import { FAULTS, type Fault, type FaultCode } from "../src/lib/faults.ts";

/** Which controller listens: see `spokenTo` in the contract. */
export type Listener = "current" | "v1.56";

export type End =
  | {
      readonly kind: "done";
      readonly preallocated: boolean;
      /** For the claim. */
      readonly labels?: Readonly<Record<string, string>>;
    }
  /** A blank disk; `silent` when nothing was to be done (block device without preallocation): no message then. */
  | { readonly kind: "blank"; readonly preallocated: boolean; readonly silent: boolean }
  | { readonly kind: "scratchNeeded" }
  | { readonly kind: "failed"; readonly fault: Fault; readonly where: FailedAt };

/** Where a failure happened; decides the words before the error. */
export type FailedAt =
  /** Before the work began: the text stands alone (settings, unknown source). */
  | { readonly during: "start" }
  | { readonly during: "blank" }
  /** While importing: the stage, and bytes the source had delivered. */
  | {
      readonly during: "import";
      readonly source: string;
      readonly stage: Stage;
      readonly bytesRead: number;
      readonly isArchive?: boolean;
    };

/** @returns exit status and termination text of an import that ended so */
export function endingOf(end: End, listener: Listener): Ending {
  if (end.kind === "failed") return failureOf(end.fault, end.where, listener);
  if (listener === "v1.56") return oldEndingOf(end);
  switch (end.kind) {
    case "done":
      return done(end.preallocated, Object.entries(end.labels ?? {}));
    case "blank":
      return end.silent ? { exit: 0 } : json({ preallocationApplied: end.preallocated, message: importComplete });
    case "scratchNeeded":
      return json({ scratchSpaceRequired: true, preallocationApplied: false, message: importComplete });
  }
}

/** What an image has too many labels of is left out: the kubelet would cut the message, and then it says nothing. */
function done(preallocationApplied: boolean, labels: readonly (readonly [string, string])[]): Ending {
  const message = { scratchSpaceRequired: false, preallocationApplied, message: importComplete };
  for (let count = labels.length; count > 0; count -= 1) {
    const whole = { ...message, labels: Object.fromEntries(labels.slice(0, count)) };
    if (Buffer.byteLength(JSON.stringify(whole)) <= terminationLimitBytes) return json(whole);
  }
  return json(message);
}

function oldEndingOf(end: Exclude<End, { kind: "failed" }>): Ending {
  // Upstream's v1.56 says nothing when it asks for scratch: the status is the whole answer.
  if (end.kind === "scratchNeeded") return { exit: scratchNeededExitOld };
  return { exit: 0, message: end.preallocated ? `${importComplete}, Preallocation applied` : importComplete };
}

const json = (message: TerminationMessage): Ending => ({ exit: 0, message: writeTermination(message) });

function failureOf(fault: Fault, where: FailedAt, listener: Listener): Ending {
  if (fault.code === "ChecksumMismatch" && listener === "current") {
    return json({ message: oneTerminationLine(withPrefix("checksum validation failed: ", fault.message)) });
  }
  return {
    exit: FAULTS[reportedCode(fault, where)].exit,
    message: oneTerminationLine(failureText(fault, where, listener)),
  };
}

/**
 * A status that would count as final is passing once the source has delivered a byte (compat.md): the file was there.
 * Faults of the other classes keep their code.
 */
function reportedCode(fault: Fault, where: FailedAt): FaultCode {
  const hadBegun = where.during === "import" && where.bytesRead > 0;
  return hadBegun && fault.row.retry === "some" ? "SourceCut" : fault.code;
}

/** Faults that say the source could not be reached or would not answer. */
const constructorCodes: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "SourceUnauthorized",
  "SourceForbidden",
  "SourceNotFound",
  "SourceGone",
  "SourceRefused",
  "UnknownAuthority",
  "CertificateExpired",
  "CertificateWrongName",
  "RedirectRefused",
  "HostUnknown",
  "ConnectionFailed",
  "SourceCut",
  "SourceStalled",
  "SourceBusy",
  "TlsFailed",
  "AddressRefused",
  "ConfigInvalid",
]);
/** Faults about the image itself, found at its header or while converting. */
const imageCodes: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "TargetTooSmall",
  "FormatUnsupported",
  "ImageRefused",
  "ImageTruncated",
  "ConversionFailed",
]);
const targetCodes: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "TargetFull",
  "QuotaExceeded",
  "TargetIo",
  "TargetReadOnly",
]);

const stagePrefix: Readonly<Record<Stage, string>> = {
  connecting: "Unable to obtain information about data source: ",
  transferring: "Unable to transfer source data to target file: ",
  downloading: "Unable to transfer source data to scratch space: ",
  converting: "Unable to convert source data to target format: ",
  finishing: "Unable to resize disk image to requested size: ",
};

function failureText(fault: Fault, where: FailedAt, listener: Listener): string {
  const said = wordsOf(fault, listener);
  // Upstream waits for the image server before anything else.
  if (where.during === "start" || fault.code === "ImageNotServed") return said;
  if (where.during === "blank") return `Unable to create blank image: ${said}`;
  if (where.source === "registry" && isOfImage(fault)) return `${registryWords}${said}`;
  if (constructorCodes.has(fault.code) && where.bytesRead === 0) {
    return `Unable to connect to ${where.source} data source: ${said}`;
  }
  if (where.isArchive && where.stage !== "connecting") {
    return `Unable to process data: Unable to transfer source data to target directory: ${stepPrefix(fault, where.stage)}${said}`;
  }
  const stage = imageCodes.has(fault.code) ? "converting" : where.stage;
  // The target is opened before the source is asked.
  if (stage === "connecting" && fault.code.startsWith("Target")) return `Unable to process data: ${said}`;
  return `Unable to process data: ${stagePrefix[stage]}${stepPrefix(fault, stage)}${said}`;
}

/** Upstream reads images in the stage that fills scratch space, and says so also where none is used. */
const registryWords =
  "Unable to process data: Unable to transfer source data to scratch space: Failed to read registry image: ";
const isOfImage = ({ code }: Fault): boolean =>
  constructorCodes.has(code) || ["DigestMismatch", "NoDiskInImage", "PlatformMissing"].includes(code);

const writingWords = "unable to write to file: ";

/** Upstream's words inside a stage, which its controller looks for. */
function stepPrefix(fault: Fault, stage: Stage): string {
  if (fault.code === "ConversionFailed") return "Conversion to Raw failed: ";
  if (stage !== "transferring" && stage !== "downloading") return "";
  if (targetCodes.has(fault.code)) return fault.message.startsWith(writingWords) ? "" : writingWords;
  return fault.code.startsWith("Source") ? "failed to pull image: " : "";
}

/** The fault's own words, with those upstream's controllers and tests search for. */
function wordsOf(fault: Fault, listener: Listener): string {
  // These two words decide the DataVolume's end: they may stand in the checksum's own message alone.
  const said = fault.message.replaceAll(/checksum mismatch/gi, "checksum differs");
  if (fault.code === "TargetFull" && !said.includes("no space left on device"))
    return `${said}: no space left on device`;
  if (fault.code === "QuotaExceeded" && !said.includes("disk quota exceeded")) return `${said}: disk quota exceeded`;
  if (fault.code === "TargetTooSmall" && listener === "v1.56") return oldTooSmall(said);
  return said;
}

/** v1.56 began with a capital and ended in a full stop. */
const oldTooSmall = (said: string): string => `${said.charAt(0).toUpperCase()}${said.slice(1).replace(/\.?$/, ".")}`;

const withPrefix = (prefix: string, text: string): string => (text.startsWith(prefix) ? text : `${prefix}${text}`);
