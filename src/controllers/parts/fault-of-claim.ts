// The fault a claim bears, as its pod side wrote it there.
import type { Claim } from "../../api/core.ts";
import { annotations } from "../../api/annotations.ts";
import { FAULTS, type FaultCode } from "../../lib/faults.ts";
import { ourAnnotations } from "./our-annotations.ts";

/** What the volume controller says of a claim whose class nobody knows; mirrored on the claim (claim-events.ts). */
const noClass = /storageclass\.storage\.k8s\.io "[^"]*" not found/;

/** @returns undefined while all is well, and for a code this release does not know */
export function faultCodeOf({ metadata, status }: Claim): FaultCode | undefined {
  const said = metadata.annotations ?? {};
  const isWaiting = (status?.phase ?? "Pending") === "Pending";
  if (isWaiting && noClass.test(said[annotations.boundConditionMessage] ?? "")) return "ObjectMissing";
  const code = said[ourAnnotations.importCode];
  return code !== undefined && code in FAULTS ? (code as FaultCode) : undefined;
}
