// The fault a claim bears, as its pod side wrote it there.
import type { Claim } from "../../api/core.ts";
import { FAULTS, type FaultCode } from "../../lib/faults.ts";
import { ourAnnotations } from "./our-annotations.ts";

/** @returns undefined while all is well, and for a code this release does not know */
export function faultCodeOf(claim: Claim): FaultCode | undefined {
  const code = claim.metadata.annotations?.[ourAnnotations.importCode];
  return code !== undefined && code in FAULTS ? (code as FaultCode) : undefined;
}
