// What a DataVolume of an upload is told from its claim: every word a pod's phase may be, and none of them ends it in Failed.
import { expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { dataVolumePhases } from "../../../src/api/phases.ts";
import { uploadFlow } from "../../../src/controllers/datavolume/upload/flow.ts";
import { aClaim } from "../../support/objects.ts";

const target = { [annotations.uploadTarget]: "", [annotations.uploadPodName]: "cdi-upload-disk" };
const pod = (phase: string, ready = "false") => ({
  ...target,
  [annotations.podPhase]: phase,
  [annotations.podReady]: ready,
});
const told = (reason: string, says: string, type = "Normal") => ({ type, reason, message: says });
const scheduled = told("UploadScheduled", "Upload into disk scheduled");

test.each<{ when: string; says: Record<string, string>; phase: string; event?: object }>([
  { when: "no target yet", says: {}, phase: "PVCBound" },
  { when: "a target, no pod named yet", says: { [annotations.uploadTarget]: "" }, phase: "PVCBound" },
  { when: "a pod named", says: target, phase: "UploadScheduled", event: scheduled },
  { when: "a new pod, after a deadline", says: pod(""), phase: "UploadScheduled", event: scheduled },
  { when: "its pod waits", says: pod("Pending"), phase: "UploadScheduled", event: scheduled },
  { when: "its pod runs, not ready", says: pod("Running"), phase: "UploadScheduled", event: scheduled },
  {
    when: "its pod is ready",
    says: pod("Running", "true"),
    phase: "UploadReady",
    event: told("UploadReady", "Upload into disk ready"),
  },
  {
    when: "its pod failed",
    says: pod("Failed"),
    phase: "UploadScheduled",
    event: told("UploadFailed", "Upload into disk failed", "Warning"),
  },
  { when: "its pod is out of sight", says: pod("Unknown"), phase: "PVCBound" },
  {
    when: "its pod is done",
    says: pod("Succeeded"),
    phase: "Succeeded",
    event: told("UploadSucceeded", "Successfully uploaded into disk"),
  },
])("$when", ({ says, phase, event }) => {
  const change = uploadFlow.workPhase(aClaim({ annotations: says }), "PVCBound");
  expect(change).toEqual({ phase, ...(event ? { event } : {}) });
});

test("whatever comes, an upload does not end in Failed", () => {
  for (const before of dataVolumePhases.filter((phase) => phase !== "Failed")) {
    for (const phase of ["", "Pending", "Running", "Failed", "Unknown", "Succeeded"]) {
      for (const ready of ["true", "false"]) {
        const claim = aClaim({ annotations: { ...pod(phase, ready), [annotations.importFatalError]: "true" } });
        expect(uploadFlow.workPhase(claim, before).phase).not.toBe("Failed");
      }
    }
  }
});
