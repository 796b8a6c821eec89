// From an upload pod's state to the claim's annotations, and to the end of the pod: waiting, taking bytes, scratch wanted, out
// of time, done. An upload never ends in Failed: whatever happened, the next try may succeed. Pure.
import { annotations } from "../../api/annotations.ts";
import type { Claim, Pod, TerminatedState } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Plan } from "../../kube/index.ts";
import { seconds } from "../../lib/duration.ts";
import type { ControllerOptions } from "../options.ts";
import { patchMetadata, type Wanted } from "../parts/annotation-changes.ts";
import { faultOfExit, lastExit, messageOf, saysScratchNeeded, statusOf } from "../parts/fault-of-pod.ts";
import { mirrored } from "../parts/mirror-pod.ts";
import { ourAnnotations } from "../parts/our-annotations.ts";
import { wasOverQuota } from "../parts/refused.ts";
import { askForScratch, scratchSteps } from "../parts/scratch.ts";
import { deletionOf, tellOf } from "../parts/steps.ts";
import type { UploadFacts } from "./observe.ts";

type WithPod = UploadFacts & { pod: Pod };

/** A pod that ended before its container could (evicted, refused by its node) is replaced no sooner than this, ms. */
const replaceAfterMs = seconds(10);

export function followPod(seen: WithPod, options: ControllerOptions, nowMs: number): Plan {
  const { claim, pod } = seen;
  const exit = lastExit(pod);
  if (exit && saysScratchNeeded(exit)) return askForScratch(claim, pod);
  if (exit && messageOf(exit)?.deadlinePassed === true) return renew(claim, pod);
  if (pod.status?.phase === "Succeeded" || exit?.exitCode === 0) return succeeded(claim, pod, exit);
  if (pod.status?.phase === "Failed") return replace(claim, pod, nowMs);
  return goingOn(seen, options, exit);
}

function stateOf(claim: Claim, pod: Pod): Wanted {
  const statuses = pod.status?.containerStatuses ?? [];
  const isReady = statuses.length > 0 && statuses.every(({ ready }) => ready);
  return { ...mirrored(claim, pod), [annotations.podReady]: String(isReady) };
}

function goingOn(seen: WithPod, options: ControllerOptions, exit: TerminatedState | undefined): Plan {
  const { claim, pod } = seen;
  const scratch = scratchSteps({ ...seen, options });
  const wanted: Wanted = {
    ...stateOf(claim, pod),
    ...scratch.wanted,
    // A later server needs it as well.
    [annotations.importRequiresScratch]: undefined,
    ...((wasOverQuota(claim) && scratch.steps.length === 0) || runsFirst(pod)
      ? { [ourAnnotations.importCode]: null }
      : codeOf(exit)),
  };
  return { steps: [...patchMetadata(kinds.claim, claim, { annotations: wanted }), ...scratch.steps] };
}

/** A server that is there, and has not failed: whatever kept it away is over. */
function runsFirst(pod: Pod): boolean {
  const { state, lastState } = statusOf(pod) ?? {};
  return state?.running !== undefined && !lastState?.terminated;
}

/** Only what the catalog knows: all else passes, and the container is started again. */
function codeOf(exit: TerminatedState | undefined): Wanted {
  const code = exit && faultOfExit(exit);
  return code === undefined || code === "Unclassified" ? {} : { [ourAnnotations.importCode]: code };
}

/** Its certificate is about to end: another server takes its place. */
function renew(claim: Claim, pod: Pod): Plan {
  const wanted: Wanted = { ...stateOf(claim, pod), [annotations.podPhase]: "", [annotations.podReady]: "false" };
  return { steps: [...patchMetadata(kinds.claim, claim, { annotations: wanted }), deletionOf(kinds.pod, pod)] };
}

function succeeded(claim: Claim, pod: Pod, exit: TerminatedState | undefined): Plan {
  const said = exit ? messageOf(exit) : undefined;
  const preallocated = said?.preallocationApplied ?? exit?.message?.includes("Preallocation applied") ?? false;
  const wanted: Wanted = {
    ...stateOf(claim, pod),
    // The container will not start again: its exit is the pod's, however late the node says so.
    [annotations.podPhase]: "Succeeded",
    [annotations.podReady]: "false",
    [annotations.preallocation]: preallocated ? "true" : undefined,
    [ourAnnotations.importCode]: null,
  };
  return {
    steps: [
      ...patchMetadata(kinds.claim, claim, { annotations: wanted }),
      tellOf(claim, "Normal", "UploadSucceeded", "Upload Successful"),
    ],
  };
}

function replace(claim: Claim, pod: Pod, nowMs: number): Plan {
  const wanted: Wanted = {
    ...stateOf(claim, pod),
    [annotations.podReady]: "false",
    [annotations.runningCondition]: "false",
    [annotations.runningConditionMessage]: pod.status?.message ?? "",
    [annotations.runningConditionReason]: pod.status?.reason ?? "Error",
  };
  const patches = patchMetadata(kinds.claim, claim, { annotations: wanted });
  const waitMs = Date.parse(pod.metadata.creationTimestamp ?? "") + replaceAfterMs - nowMs;
  if (waitMs > 0) return { steps: patches, lookAgainInMs: waitMs };
  return { steps: [...patches, deletionOf(kinds.pod, pod)] };
}
