// Whether a claim holds a finished import already, whatever has become of its annotations: what was once Succeeded is never
// imported over (compat.md, "Taking over").
import { conditionOf } from "../../api/conditions.ts";
import type { Claim } from "../../api/core.ts";
import type { DataVolume } from "../../api/data-volume.ts";

/**
 * A claim made anew under a DataVolume that had succeeded is younger than that success. Ours cannot be mistaken even within
 * one second: the phase is taken back before such a claim is made.
 */
export function wasFilled(dataVolume: DataVolume | undefined, claim: Claim): boolean {
  const born = claim.metadata.creationTimestamp;
  if (dataVolume?.status?.phase !== "Succeeded" || born === undefined) return false;
  const owner = claim.metadata.ownerReferences?.find((one) => one.controller);
  if (owner?.uid !== dataVolume.metadata.uid) return false;
  const ready = conditionOf(dataVolume.status.conditions, "Ready");
  const since = ready?.status === "True" ? ready.lastTransitionTime : undefined;
  return since === undefined || born <= since;
}
