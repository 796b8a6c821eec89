// The worker pod's state as its claim tells it (interfaces/annotations-and-labels.md section 3).
import { annotations } from "../../api/annotations.ts";
import type { Claim, Pod } from "../../api/core.ts";
import type { Wanted } from "./annotation-changes.ts";
import { annotationOf } from "./claim-facts.ts";
import { statusOf } from "./fault-of-pod.ts";
import { isUnschedulable, runningOf } from "./running-condition.ts";

/**
 * What is written whatever the pod is doing.
 * @param mountFailure what the node says of a volume it cannot mount, if it does
 */
export function mirrored(claim: Claim, pod: Pod, mountFailure?: string): Wanted {
  const running = runningOf(pod, mountFailure);
  const restarts = Math.max(
    statusOf(pod)?.restartCount ?? 0,
    Number(annotationOf(claim, annotations.podRestarts) ?? 0) || 0,
  );
  const wasUnschedulable = annotationOf(claim, annotations.podSchedulable) === "false";
  return {
    [annotations.podPhase]: pod.status?.phase ?? "Pending",
    [annotations.podRestarts]: String(restarts),
    [annotations.podSchedulable]: isUnschedulable(pod) ? "false" : wasUnschedulable ? "true" : undefined,
    ...(running
      ? {
          [annotations.runningCondition]: String(running.running),
          [annotations.runningConditionMessage]: running.message,
          [annotations.runningConditionReason]: running.reason,
        }
      : {}),
  };
}
