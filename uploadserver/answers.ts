// What a failed upload is answered (interfaces/upload.md 4.2): pure, for a current controller's server and for one of v1.56.
import type { Fault, FaultCode } from "../src/lib/faults.ts";
import type { Listener } from "./settings.ts";

export interface Answer {
  readonly status: number;
  /** Plain text; "" sends none. */
  readonly body: string;
}

/** The image, or the room for it, is at fault: the same bytes would fail again. */
const imageCodes: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "TargetTooSmall",
  "NotAnImage",
  "FormatUnsupported",
  "ImageRefused",
  "ImageTruncated",
  "ArchiveInvalid",
]);
/** The image is at fault here, too, but upstream answers 500. */
const damageCodes: ReadonlySet<FaultCode> = new Set<FaultCode>(["ImageCorrupt", "ImageTooShort", "ConversionFailed"]);
const roomCodes: ReadonlySet<FaultCode> = new Set<FaultCode>(["TargetFull", "QuotaExceeded"]);

/** Upstream's words for every failure of the image or of the room for it, whatever the cause says. */
const tooLarge = "effective image size is larger than the reported available storage: ";

export function failedAnswer(fault: Fault, { listener, isAsync }: { listener: Listener; isAsync: boolean }): Answer {
  const isImage = imageCodes.has(fault.code);
  if (listener === "v1.56") {
    if (!isAsync) return { status: 500, body: "" };
    return { status: isImage ? 400 : 500, body: `Saving stream failed: ${fault.message}` };
  }
  if (isImage || roomCodes.has(fault.code)) {
    return { status: 400, body: `Saving stream failed: ${tooLarge}${fault.message}` };
  }
  return { status: 500, body: `Saving stream failed: ${fault.message}` };
}

/** Of a resumable upload: its clients send again what is answered 500, and would send a damaged image for ever. */
export function failedTusAnswer(fault: Fault, listener: Listener): Answer {
  const answer = failedAnswer(fault, { listener, isAsync: true });
  return damageCodes.has(fault.code) ? { ...answer, status: 400 } : answer;
}

/** The pod is about to be made anew with scratch space: the next try succeeds. */
export const scratchAnswer: Answer = {
  status: 503,
  body: "Saving stream failed: this image cannot be converted on its way and needs scratch space, which is being provided: send it again",
};
