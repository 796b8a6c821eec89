// How long one process goes on trying when a source breaks off: a pure decision. When it gives up, the kubelet starts the
// program anew, and that one is the outer layer.
import { backoffDelay, type BackoffShape } from "../../lib/backoff.ts";
import type { Fault, FaultCode } from "../../lib/faults.ts";

/** What may be gone the next moment, whoever is asked. */
const passing: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "SourceCut",
  "SourceStalled",
  "SourceBusy",
  "ConnectionFailed",
  "HostUnknown",
  "TlsFailed",
]);
/** Final as a first answer; passing once the source has delivered a byte (compat.md): the file was there. */
const passingOnceBegun: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "SourceUnauthorized",
  "SourceForbidden",
  "SourceNotFound",
  "SourceGone",
  "SourceRefused",
]);

const shape: BackoffShape = { baseMs: 500, capMs: 30_000 };
/** A server may ask for a longer pause, up to this, ms. */
const longestPauseMs = 120_000;
/** Tries in a row that bring nothing new, by what a new process might have to fetch again. */
const triesBeforeFirstByte = 2;
const triesWithLittleToLose = 4;
const triesWithMuchToLose = 8;
const muchBytes = 64 * 1024 * 1024;

export interface Tried {
  /** Failures in a row, this one too, without a stretch of new bytes between them. */
  readonly failures: number;
  /** What the source has delivered to this process so far, bytes. */
  readonly deliveredBytes: number;
}

/** @returns ms to wait before the next try; undefined when this process should try no more */
export function pauseAfter(fault: Fault, { failures, deliveredBytes }: Tried): number | undefined {
  const isPassing = passing.has(fault.code) || (deliveredBytes > 0 && passingOnceBegun.has(fault.code));
  if (!isPassing || failures > triesFor(deliveredBytes)) return undefined;
  return Math.max(backoffDelay(failures, shape), Math.min(fault.retryAfterMs ?? 0, longestPauseMs));
}

function triesFor(deliveredBytes: number): number {
  if (deliveredBytes === 0) return triesBeforeFirstByte;
  return deliveredBytes < muchBytes ? triesWithLittleToLose : triesWithMuchToLose;
}
