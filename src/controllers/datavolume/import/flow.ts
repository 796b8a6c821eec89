// The row of imports: annotations, phases and events of interfaces/datavolume-lifecycle.md sections 4 and 5.
import { annotations } from "../../../api/annotations.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";
import type { Flow, PhaseChange } from "../flow.ts";
import { importAnnotationsOf, isHandled } from "./source.ts";
import { progressOf, transferOf } from "./transfer.ts";

export const importFlow: Flow = {
  reconciling: "Importing",
  isHandled,
  claimAnnotations: importAnnotationsOf,
  workPhase: importPhase,
  succeeded,
  progress({ claim, phase, before, reading }) {
    const transfer = transferOf({ claim, phase, before: before.transfer, reading });
    const progress = progressOf({ claim, phase, before: before.progress, reading });
    return transfer ? { progress, transfer } : { progress };
  },
};

function importPhase(claim: Claim, before: DataVolumePhase): PhaseChange {
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

function succeeded(claim: Claim): PhaseChange {
  const message = `Successfully imported into PVC ${claim.metadata.name}`;
  return { phase: "Succeeded", event: { type: "Normal", reason: "ImportSucceeded", message } };
}
