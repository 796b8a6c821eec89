// The API server would not have a worker pod, or what one needs: said on the claim that is filled, tried again.
import { annotations } from "../../api/annotations.ts";
import type { Claim } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Plan, StepRefused } from "../../kube/index.ts";
import { seconds } from "../../lib/duration.ts";
import { patchMetadata, type Wanted } from "./annotation-changes.ts";
import { annotationOf } from "./claim-facts.ts";
import { ourAnnotations } from "./our-annotations.ts";
import { regardless, tellOf } from "./steps.ts";

const overQuota = "ErrExceededQuota";

type Refused = Pick<StepRefused, "step" | "refusal">;

/** @returns undefined for what is not made, but changed: its refusal is an error */
export function decideRefused(claim: Claim, podName: string, { step, refusal }: Refused): Plan | undefined {
  if (step.do !== "create") return undefined;
  const isOverQuota = refusal.message.includes("exceeded quota");
  if (step.kind.kind === "Pod") {
    const reason = isOverQuota ? overQuota : "ErrStartingPod";
    const text = `Error starting pod '${podName}': For more information, request access to cdi-deploy logs from your sysadmin`;
    return saidOn(claim, reason, text, {
      [annotations.podPhase]: "Failed",
      [annotations.runningCondition]: "false",
      [annotations.runningConditionMessage]: text,
      [annotations.runningConditionReason]: reason,
    });
  }
  if (step.kind.kind === "PersistentVolumeClaim") {
    const reason = isOverQuota ? overQuota : "ErrClaimNotValid";
    const text = `Error creating scratch space: ${refusal.message}`;
    return saidOn(claim, reason, text, {
      [annotations.boundCondition]: "false",
      [annotations.boundConditionMessage]: text,
      [annotations.boundConditionReason]: reason,
    });
  }
  const name = step.object.metadata.name ?? "";
  return saidOn(
    claim,
    isOverQuota ? overQuota : "ErrStartingPod",
    `Error creating ${step.kind.kind} '${name}': ${refusal.message}`,
    {},
  );
}

function saidOn(claim: Claim, reason: string, text: string, said: Wanted): Plan {
  const wanted: Wanted = { ...said, ...(reason === overQuota ? { [ourAnnotations.importCode]: "QuotaExceeded" } : {}) };
  // The step before the refused one may have moved the version.
  const patches = regardless(patchMetadata(kinds.claim, claim, { annotations: wanted }));
  return { steps: [...patches, tellOf(claim, "Warning", reason, text)], lookAgainInMs: seconds(10) };
}

/** A quota kept the pod or its scratch space away, as far as the claim tells. */
export const wasOverQuota = (claim: Claim): boolean =>
  [annotations.runningConditionReason, annotations.boundConditionReason].some(
    (key) => annotationOf(claim, key) === overQuota,
  );
