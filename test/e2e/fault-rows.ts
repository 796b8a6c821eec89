// What each way of going wrong looks like on a DataVolume: asserted by fault-rows.test.ts with a real server each, and shown
// in docs/reference/faults.md.
import type { FaultCode } from "../../src/lib/faults.ts";

export interface FaultRow {
  readonly when: string;
  readonly code: FaultCode;
  /** Container exits until Failed; "always" is tried without end and stays ImportInProgress. */
  readonly attempts: 1 | 2 | 5 | "always";
  /** Message of the Running condition; its ends are cut off where they hold an address. */
  readonly text: string;
}

const connect = "Unable to connect to http data source: ";
const status = (code: number, words: string): string =>
  `${connect}expected status code 200, got ${code}. Status: ${code} ${words}`;
const head = "Unable to process data: Unable to obtain information about data source: ";
const target = "Unable to process data: Unable to transfer source data to target file: ";

export const faultRows = [
  { when: "404", code: "SourceNotFound", attempts: 5, text: status(404, "Not Found") },
  { when: "401", code: "SourceUnauthorized", attempts: 5, text: status(401, "Unauthorized") },
  { when: "403", code: "SourceForbidden", attempts: 5, text: status(403, "Forbidden") },
  { when: "410", code: "SourceGone", attempts: 5, text: status(410, "Gone") },
  { when: "416 to every request", code: "SourceRefused", attempts: 5, text: status(416, "Range Not Satisfiable") },
  {
    when: "429 with Retry-After, for ever",
    code: "SourceBusy",
    attempts: "always",
    text: status(429, "Too Many Requests"),
  },
  { when: "500, for ever", code: "SourceBusy", attempts: "always", text: status(500, "Internal Server Error") },
  { when: "a host name nobody knows", code: "HostUnknown", attempts: "always", text: connect },
  { when: "a port nobody listens on", code: "ConnectionFailed", attempts: "always", text: connect },
  { when: "a certificate of an unknown authority", code: "UnknownAuthority", attempts: 5, text: connect },
  { when: "an expired certificate", code: "CertificateExpired", attempts: 5, text: connect },
  { when: "a certificate for another host", code: "CertificateWrongName", attempts: 5, text: connect },
  { when: "plain HTTP where https was asked for", code: "TlsFailed", attempts: "always", text: connect },
  { when: "a redirect loop", code: "RedirectRefused", attempts: 5, text: connect },
  { when: "a redirect to another origin that wants the login", code: "SourceUnauthorized", attempts: 5, text: connect },
  {
    when: "an HTML page",
    code: "NotAnImage",
    attempts: 2,
    text: `${head}the source is an HTML page, not a disk image`,
  },
  {
    when: "a JSON document",
    code: "NotAnImage",
    attempts: 2,
    text: `${head}the source is a JSON document, not a disk image`,
  },
  {
    when: "a zip archive",
    code: "NotAnImage",
    attempts: 2,
    text: `${head}the source is a zip archive, not a disk image`,
  },
  {
    when: "noise named .qcow2",
    code: "NotAnImage",
    attempts: 2,
    text: `${head}the name ends in .qcow2, but `,
  },
  {
    when: "an empty file",
    code: "ImageTooShort",
    attempts: 2,
    text: `${head}could not process image header`,
  },
  { when: "a truncated gz", code: "ImageCorrupt", attempts: 2, text: `${target}unable to decompress gz: ` },
  { when: "a truncated xz", code: "ImageCorrupt", attempts: 2, text: `${target}unable to decompress xz: ` },
  { when: "a truncated zst", code: "ImageCorrupt", attempts: 2, text: `${target}unable to decompress zst: ` },
  { when: "a truncated qcow2", code: "ImageTruncated", attempts: 2, text: "Unable to process data: " },
  {
    when: "a qcow2 with a backing file",
    code: "ImageRefused",
    attempts: 2,
    text: "the image is invalid because it has invalid backing file",
  },
  { when: "Content-Length longer than the body", code: "SourceCut", attempts: "always", text: target },
  { when: "a connection cut in the middle", code: "SourceCut", attempts: "always", text: target },
  {
    when: "a claim too small for a raw image",
    code: "TargetTooSmall",
    attempts: 2,
    text: "DataVolume too small to contain image",
  },
  {
    when: "a claim too small for what unpacks",
    code: "TargetTooSmall",
    attempts: 2,
    text: "DataVolume too small to contain image",
  },
  {
    when: "a claim too small for a qcow2's virtual size",
    code: "TargetTooSmall",
    attempts: 2,
    text: "DataVolume too small to contain image",
  },
  {
    when: "the wrong checksum",
    code: "ChecksumMismatch",
    attempts: 1,
    text: "checksum validation failed: checksum mismatch: expected ",
  },
] as const satisfies readonly FaultRow[];
