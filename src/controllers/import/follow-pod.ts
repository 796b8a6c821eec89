// From an importer pod's state to the claim's annotations, and to the end of the pod: still going, scratch wanted, out of
// memory, done, or failed. Pure.
import { annotations } from "../../api/annotations.ts";
import type { Claim, Pod, TerminatedState } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { isLabel } from "../../api/labels.ts";
import type { Plan, Step } from "../../kube/index.ts";
import { seconds } from "../../lib/duration.ts";
import type { FaultCode } from "../../lib/faults.ts";
import type { ControllerOptions } from "../options.ts";
import { patchMetadata, type Wanted } from "../parts/annotation-changes.ts";
import { attemptsSpent } from "../parts/attempts.ts";
import {
  cameAfterBytes,
  exitsOf,
  faultOfExit,
  lastExit,
  messageOf,
  saysChecksumMismatch,
  saysScratchNeeded,
  stageOfExit,
  statusOf,
} from "../parts/fault-of-pod.ts";
import { ourAnnotations } from "../parts/our-annotations.ts";
import { deletionOf, tellOf } from "../parts/steps.ts";
import { annotationOf } from "../parts/claim-facts.ts";
import { mirrored } from "../parts/mirror-pod.ts";
import { wasOverQuota } from "../parts/refused.ts";
import { askForScratch, scratchSteps } from "../parts/scratch.ts";
import { imageNotPulled, waitsForObject } from "../parts/running-condition.ts";
import { wantsForever } from "./claim-facts.ts";
import { proxyConfigMapFor } from "./objects.ts";
import type { ImportFacts } from "./observe.ts";

type WithPod = ImportFacts & { pod: Pod };

/** A pod that ended before its container could (evicted, refused by its node) is replaced no sooner than this, ms. */
const replaceAfterMs = seconds(10);

export function followPod(seen: ImportFacts, options: ControllerOptions, nowMs: number): Plan {
  const { claim, pod } = seen;
  if (!pod) return { steps: [] };
  const all: WithPod = { ...seen, pod };
  const exit = lastExit(pod);
  if (exit && saysScratchNeeded(exit)) return askForScratch(claim, pod);
  // A tool the kernel killed does not make a success of the import itself into a failure.
  if (exit?.reason === "OOMKilled" && exit.exitCode !== 0) return switchCacheMode(all);
  if (exit && saysChecksumMismatch(exit)) return failed(all, exit);
  if (pod.status?.phase === "Succeeded" || exit?.exitCode === 0) return succeeded(claim, pod, exit);
  if (pod.status?.phase === "Failed") return replace(claim, pod, nowMs);
  if (exit) return stumbled(all, exit, options);
  return goingOn(all, options);
}

function goingOn(seen: WithPod, options: ControllerOptions): Plan {
  const { claim, pod, delivering } = seen;
  const scratch = scratchSteps({ ...seen, options });
  const isRunning = statusOf(pod)?.state?.running !== undefined;
  const withDirectIo = pod.spec.containers.some((one) =>
    one.env?.some(({ name, value }) => name === "CACHE_MODE" && value === "TRYNONE"),
  );
  const wanted: Wanted = {
    ...mirrored(claim, pod, seen.mountFailure),
    ...scratch.wanted,
    // Seen by a pod that runs so: the next kill goes back to the other mode.
    ...(isRunning && withDirectIo ? { [annotations.importRequiresDirectIo]: "false" } : {}),
    ...(delivering ? { [ourAnnotations.importDelivered]: "true" } : {}),
    [ourAnnotations.importCode]: codeWhileGoing(seen, scratch.steps.length > 0),
  };
  return {
    steps: [...patchMetadata(kinds.claim, claim, { annotations: wanted }), ...proxyCaSteps(seen), ...scratch.steps],
  };
}

/** A fault of before is over when bytes come, or when what was missing is there. @returns undefined to leave it */
function codeWhileGoing(seen: WithPod, lacksScratch: boolean): FaultCode | null | undefined {
  const { claim, pod, delivering, mountFailure } = seen;
  if (delivering) return null;
  if (waitsForObject(pod, mountFailure) !== undefined) return "ObjectMissing";
  if (imageNotPulled(pod) !== undefined) return "ImageNotServed";
  const lackedObject = ["ObjectMissing", "ImageNotServed"].includes(
    annotationOf(claim, ourAnnotations.importCode) ?? "",
  );
  return (wasOverQuota(claim) && !lacksScratch) || lackedObject ? null : undefined;
}

/** The pod waits for its copy of the proxy's CA. */
const proxyCaSteps = ({ claim, pod, proxyCa }: WithPod): Step[] =>
  proxyCa ? [{ do: "create", kind: kinds.configMap, object: proxyConfigMapFor(claim, pod, proxyCa) }] : [];

function switchCacheMode({ claim, pod }: WithPod): Plan {
  const wanted: Wanted = {
    ...mirrored(claim, pod),
    [annotations.importRequiresDirectIo]: "true",
    [ourAnnotations.importCode]: "MemoryExceeded",
  };
  return { steps: [...patchMetadata(kinds.claim, claim, { annotations: wanted }), deletionOf(kinds.pod, pod)] };
}

function succeeded(claim: Claim, pod: Pod, exit: TerminatedState | undefined): Plan {
  const said = exit ? messageOf(exit) : undefined;
  const preallocated = said?.preallocationApplied ?? exit?.message?.includes("Preallocation applied") ?? false;
  const wanted: Wanted = {
    ...mirrored(claim, pod),
    // The container will not start again: its exit is the pod's, however late the node says so.
    [annotations.podPhase]: "Succeeded",
    [annotations.preallocation]: preallocated ? "true" : undefined,
    [annotations.importFatalError]: null,
    [annotations.importRequiresScratch]:
      annotationOf(claim, annotations.importRequiresScratch) === undefined ? undefined : "false",
    [ourAnnotations.importCode]: null,
    [ourAnnotations.importStage]: null,
    [ourAnnotations.importAttempt]: null,
    [ourAnnotations.importDelivered]: null,
    [ourAnnotations.importRetried]: null,
  };
  // Of a stranger's image: what the API server would not have must not keep the rest from being written.
  const labels = Object.fromEntries(
    Object.entries(said?.labels ?? {}).filter(
      ([key, value]) => claim.metadata.labels?.[key] === undefined && isLabel(key, value),
    ),
  );
  const kept = annotationOf(claim, annotations.podRetainAfterCompletion) === "true";
  return {
    steps: [
      ...patchMetadata(kinds.claim, claim, { annotations: wanted, labels }),
      tellOf(claim, "Normal", "ImportSucceeded", "Import Successful"),
      ...(kept ? [] : [deletionOf(kinds.pod, pod)]),
    ],
  };
}

/** The container failed and its kubelet will start it again, unless the fault's attempts are spent. */
function stumbled(seen: WithPod, exit: TerminatedState, options: ControllerOptions): Plan {
  const { claim, pod } = seen;
  const code = faultOfExit(exit);
  const exits = exitsOf(pod);
  const delivered =
    annotationOf(claim, ourAnnotations.importDelivered) === "true" || seen.delivering || cameAfterBytes(exit);
  if (attemptsSpent({ code, exits, delivered, forever: wantsForever(claim) })) return failed(seen, exit);
  const isNews = annotationOf(claim, ourAnnotations.importAttempt) !== String(exits);
  const wanted: Wanted = {
    ...mirrored(claim, pod),
    ...scratchSteps({ ...seen, options }).wanted,
    [ourAnnotations.importCode]: code,
    [ourAnnotations.importStage]: stageOfExit(exit) ?? null,
    [ourAnnotations.importAttempt]: String(exits),
    [ourAnnotations.importDelivered]: delivered ? "true" : undefined,
  };
  const steps = patchMetadata(kinds.claim, claim, { annotations: wanted });
  return { steps: isNews ? [...steps, tellOf(claim, "Warning", "ErrImportFailed", exit.message ?? "")] : steps };
}

function failed({ claim, pod }: WithPod, exit: TerminatedState): Plan {
  const text = messageOf(exit)?.message ?? exit.message ?? "";
  const code = faultOfExit(exit);
  const wanted: Wanted = {
    ...mirrored(claim, pod),
    ...(code === "ChecksumMismatch" ? { [annotations.runningConditionReason]: "ChecksumError" } : {}),
    [annotations.podPhase]: "Failed",
    [annotations.importFatalError]: "true",
    [ourAnnotations.importCode]: code,
    [ourAnnotations.importStage]: stageOfExit(exit) ?? null,
    [ourAnnotations.importAttempt]: String(exitsOf(pod)),
    [ourAnnotations.importRetried]: annotationOf(claim, annotations.importRetry),
  };
  return {
    steps: [
      ...patchMetadata(kinds.claim, claim, { annotations: wanted }),
      tellOf(claim, "Warning", "ErrImportFailed", text),
      deletionOf(kinds.pod, pod),
    ],
  };
}

function replace(claim: Claim, pod: Pod, nowMs: number): Plan {
  const message = pod.status?.message ?? "";
  const reason = pod.status?.reason ?? "Error";
  const wanted: Wanted = {
    ...mirrored(claim, pod),
    [annotations.runningCondition]: "false",
    [annotations.runningConditionMessage]: message,
    [annotations.runningConditionReason]: reason,
  };
  const patches = patchMetadata(kinds.claim, claim, { annotations: wanted });
  const news = patches.length > 0 ? [tellOf(claim, "Warning", "ErrImportFailed", message || reason)] : [];
  const waitMs = Date.parse(pod.metadata.creationTimestamp ?? "") + replaceAfterMs - nowMs;
  if (waitMs > 0) return { steps: [...patches, ...news], lookAgainInMs: waitMs };
  return { steps: [...patches, ...news, deletionOf(kinds.pod, pod)] };
}
