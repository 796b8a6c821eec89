// The API server would not have a worker pod: said on the claim, tried again.
import { annotations } from "../../api/annotations.ts";
import type { Claim } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Plan } from "../../kube/index.ts";
import { seconds } from "../../lib/duration.ts";
import { patchMetadata, type Wanted } from "./annotation-changes.ts";
import { ourAnnotations } from "./our-annotations.ts";
import { regardless, tellOf } from "./steps.ts";

/** @param message the API server's */
export function decidePodRefused(claim: Claim, name: string, message: string): Plan {
  const reason = message.includes("exceeded quota") ? "ErrExceededQuota" : "ErrStartingPod";
  const text = `Error starting pod '${name}': For more information, request access to cdi-deploy logs from your sysadmin`;
  const wanted: Wanted = {
    [annotations.podPhase]: "Failed",
    [annotations.runningCondition]: "false",
    [annotations.runningConditionMessage]: text,
    [annotations.runningConditionReason]: reason,
    ...(reason === "ErrExceededQuota" ? { [ourAnnotations.importCode]: "QuotaExceeded" } : {}),
  };
  // The step before the refused one may have moved the version.
  const patches = regardless(patchMetadata(kinds.claim, claim, { annotations: wanted }));
  return { steps: [...patches, tellOf(claim, "Warning", reason, text)], lookAgainInMs: seconds(10) };
}
