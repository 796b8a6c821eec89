// The row of uploads: an upload never ends in Failed, and its progress is its client's to tell
// (interfaces/datavolume-lifecycle.md sections 4 to 6).
import { annotations } from "../../../api/annotations.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";
import type { Flow, PhaseChange } from "../flow.ts";

export const uploadFlow: Flow = {
  reconciling: "Uploading",
  isHandled: ({ spec }) => spec.source?.upload !== undefined,
  claimAnnotations: () => ({ [annotations.uploadTarget]: "" }),
  workPhase: uploadPhase,
  succeeded,
  progress: () => ({ progress: "N/A" }),
};

function uploadPhase(claim: Claim, before: DataVolumePhase): PhaseChange {
  const said = claim.metadata.annotations ?? {};
  const name = claim.metadata.name ?? "";
  const podPhase = said[annotations.podPhase];
  if (podPhase === "Succeeded") return succeeded(claim);
  if (said[annotations.uploadTarget] === undefined || said[annotations.uploadPodName] === undefined)
    return { phase: before === "Succeeded" ? "PVCBound" : before };
  if (podPhase === "Failed") {
    const event = { type: "Warning" as const, reason: "UploadFailed", message: `Upload into ${name} failed` };
    return { phase: "UploadScheduled", event };
  }
  if (podPhase === "Running" && said[annotations.podReady] === "true") {
    const message = `Upload into ${name} ready`;
    return { phase: "UploadReady", event: { type: "Normal", reason: "UploadReady", message } };
  }
  if (podPhase !== undefined && !["", "Pending", "Running"].includes(podPhase)) return { phase: before };
  const message = `Upload into ${name} scheduled`;
  return { phase: "UploadScheduled", event: { type: "Normal", reason: "UploadScheduled", message } };
}

function succeeded(claim: Claim): PhaseChange {
  const message = `Successfully uploaded into ${claim.metadata.name}`;
  return { phase: "Succeeded", event: { type: "Normal", reason: "UploadSucceeded", message } };
}
