// The phase of a DataVolume, computed from its claim alone (interfaces/datavolume-lifecycle.md section 5), and the event that
// tells of a change of phase.
import { annotations } from "../../../api/annotations.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";
import type { Flow, PhaseChange } from "../flow.ts";

export interface PhaseFacts {
  flow: Flow;
  /** The phase so far. */
  phase: DataVolumePhase;
  claim: Claim;
  /** False for a claim that was filled by somebody else, for this DataVolume. */
  needsWork: boolean;
  /** The claim waits for its first consumer, and the gate says to let it. */
  waitsForConsumer: boolean;
}

export function phaseOf(facts: PhaseFacts): PhaseChange {
  const { flow, phase, claim, needsWork } = facts;
  const podPhase = claim.metadata.annotations?.[annotations.podPhase];
  if (needsWork && podPhase === "Succeeded") return flow.workPhase(claim, phase);
  switch (claim.status?.phase) {
    case "Pending":
      if (!needsWork) return { phase: "Succeeded" };
      return { phase: facts.waitsForConsumer ? "WaitForFirstConsumer" : "Pending" };
    case "Bound": {
      if (!needsWork) return flow.succeeded(claim);
      const isWaiting = ["", "Pending", "WaitForFirstConsumer", "Unknown"].includes(phase);
      return flow.workPhase(claim, isWaiting ? "PVCBound" : phase);
    }
    case "Lost":
      return {
        phase: "Failed",
        event: { type: "Warning", reason: "ErrClaimLost", message: `PVC ${claim.metadata.name} lost` },
      };
    default:
      return { phase: claim.status?.phase ? "Unknown" : phase };
  }
}
