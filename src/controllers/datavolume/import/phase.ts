// The phase of an imported DataVolume, computed from its claim alone (interfaces/datavolume-lifecycle.md section 5), and the
// event that tells of a change of phase.
import { annotations } from "../../../api/annotations.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";

export interface PhaseEvent {
  type: "Normal" | "Warning";
  reason: string;
  message: string;
}

export interface PhaseFacts {
  /** The phase so far. */
  phase: DataVolumePhase;
  claim: Claim;
  /** False for a claim that was filled by somebody else, for this DataVolume. */
  needsWork: boolean;
  /** The claim waits for its first consumer, and the gate says to let it. */
  waitsForConsumer: boolean;
}

export function phaseOf(facts: PhaseFacts): { phase: DataVolumePhase; event?: PhaseEvent } {
  const { phase, claim, needsWork } = facts;
  const podPhase = claim.metadata.annotations?.[annotations.podPhase];
  if (needsWork && podPhase === "Succeeded") return importPhase(facts, phase);
  switch (claim.status?.phase) {
    case "Pending":
      if (!needsWork) return { phase: "Succeeded" };
      return { phase: facts.waitsForConsumer ? "WaitForFirstConsumer" : "Pending" };
    case "Bound": {
      if (!needsWork) return succeeded(claim);
      const isWaiting = ["", "Pending", "WaitForFirstConsumer", "Unknown"].includes(phase);
      return importPhase(facts, isWaiting ? "PVCBound" : phase);
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

function importPhase({ claim }: PhaseFacts, before: DataVolumePhase): { phase: DataVolumePhase; event?: PhaseEvent } {
  const said = claim.metadata.annotations ?? {};
  const name = claim.metadata.name ?? "";
  // Not started: a new claim of a DataVolume that was further once begins anew.
  if (said[annotations.importPodName] === undefined)
    return { phase: said[annotations.podPhase] === "Succeeded" ? "Succeeded" : "PVCBound" };
  switch (said[annotations.podPhase]) {
    case undefined:
    case "":
    case "Pending":
      return {
        phase: "ImportScheduled",
        event: { type: "Normal", reason: "ImportScheduled", message: `Import into ${name} scheduled` },
      };
    case "Running":
      return {
        phase: "ImportInProgress",
        event: { type: "Normal", reason: "ImportInProgress", message: `Import into ${name} in progress` },
      };
    case "Succeeded":
      return succeeded(claim);
    case "Failed": {
      const fatal = said[annotations.importFatalError] === "true";
      const event = { type: "Warning" as const, reason: "ImportFailed", message: `Failed to import into PVC ${name}` };
      return { phase: fatal ? "Failed" : "ImportScheduled", event };
    }
    default:
      return { phase: before };
  }
}

const succeeded = (claim: Claim): { phase: DataVolumePhase; event: PhaseEvent } => ({
  phase: "Succeeded",
  event: {
    type: "Normal",
    reason: "ImportSucceeded",
    message: `Successfully imported into PVC ${claim.metadata.name}`,
  },
});
