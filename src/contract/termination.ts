// How a data program says how it ended: one line in the termination log and an exit status (compat.md, importer.md 4.1).
// JSON only at exit 0 (success, scratch needed, failed digest); upstream's plain text with a catalog status on failure.

export interface TerminationMessage {
  scratchSpaceRequired?: boolean;
  preallocationApplied?: boolean;
  deadlinePassed?: boolean;
  vddkInfo?: { Version: string; Host: string };
  labels?: Record<string, string>;
  message?: string;
}

/** The kubelet cuts at this many bytes; a longer serialised form is an error upstream and here. */
export const terminationLimitBytes = 4096;

export const importComplete = "Import Complete";
/** What the upload server says instead: of an upload, of a clone, and when its certificate's time is up. */
export const uploadComplete = "Upload Complete";
export const cloneComplete = "Clone Complete";
export const deadlinePassed = "Deadline Passed";
/** v1.56's exit status for "scratch space needed"; controllers take it, we send it only to a v1.56 controller. */
export const scratchNeededExitOld = 42;

/** @throws RangeError when the serialised form is over 4096 bytes */
export function writeTermination(message: TerminationMessage): string {
  const text = JSON.stringify(message);
  if (Buffer.byteLength(text) > terminationLimitBytes) {
    throw new RangeError(
      `termination message is ${Buffer.byteLength(text)} bytes, the limit is ${terminationLimitBytes}`,
    );
  }
  return text;
}

/** @returns the message if `text` is a JSON object of that shape, else undefined (plain text of a failure, or of v1.56) */
export function readTermination(text: string): TerminationMessage | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as TerminationMessage) : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** One line within the kubelet's limit, cut between characters. */
export function oneTerminationLine(text: string): string {
  const flat = text.replaceAll(/\s*[\r\n]+\s*/g, " ");
  const bytes = Buffer.from(flat);
  if (bytes.length <= terminationLimitBytes) return flat;
  let end = terminationLimitBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
