// What to do next for one claim that is the target of an import: pure, facts in, steps out. The pod's state is written on
// the claim's annotations, from which the DataVolume's status is computed (datavolume/import).
import { annotations } from "../../api/annotations.ts";
import type { Claim, Pod } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { appName, labels } from "../../api/labels.ts";
import type { Plan, Step } from "../../kube/index.ts";
import type { ControllerOptions } from "../options.ts";
import { patchMetadata, type Wanted } from "../parts/annotation-changes.ts";
import { mirrorEvents } from "../parts/claim-events.ts";
import { importerPodName } from "../parts/names.ts";
import { ourAnnotations } from "../parts/our-annotations.ts";
import { deletionOf, stillAsSeen, tellOf } from "../parts/steps.ts";
import { annotationOf, isComplete, mayStart } from "../parts/claim-facts.ts";
import { inUseText } from "../parts/claim-users.ts";
import { creatingScratch, needsScratch } from "../parts/scratch.ts";
import { isFatal, isOurs, retryAsked, wantsForever } from "./claim-facts.ts";
import { followPod } from "./follow-pod.ts";
import { imageStreamFinalizer, isImageStream } from "./node-pull.ts";
import { importerPodFor } from "./objects.ts";
import type { ImportFacts } from "./observe.ts";

const nothing: Plan = { steps: [] };

export function decideImport(seen: ImportFacts | undefined, options: ControllerOptions, nowMs: number): Plan {
  if (!seen) return nothing;
  const { claim, pod } = seen;
  // The claim's protection waits for its pod, and the pod's owner waits for the claim: someone must begin.
  if (claim.metadata.deletionTimestamp && (isOurs(claim) || isHeld(claim))) return { steps: letGo(claim, pod) };
  if (!isOurs(claim)) return nothing;
  if (isComplete(claim) || seen.filled) {
    const kept = annotationOf(claim, annotations.podRetainAfterCompletion) === "true";
    return { steps: kept ? [] : letGo(claim, pod) };
  }
  if (isFatal(claim)) return retryAsked(claim) || wantsToGoOn(seen) ? startOver(seen) : { steps: deletePod(pod) };
  const mirrored = mirrorEvents(claim, seen.events);
  const plan = goOn(seen, options, nowMs);
  return mirrored.length > 0 ? { ...plan, steps: [...mirrored, ...plan.steps] } : plan;
}

function goOn(seen: ImportFacts, options: ControllerOptions, nowMs: number): Plan {
  const { claim, pod, config } = seen;
  if (pod?.metadata.deletionTimestamp) return nothing;
  if (pod) return followPod(seen, options, nowMs);
  return mayStart(claim, config) ? start(seen, options) : nothing;
}

/** retryForever, set after the failure: only a mismatch of the checksum stays final. */
const wantsToGoOn = ({ claim }: ImportFacts): boolean =>
  wantsForever(claim) && annotationOf(claim, ourAnnotations.importCode) !== "ChecksumMismatch";

const deletePod = (pod: Pod | undefined): Step[] =>
  pod && !pod.metadata.deletionTimestamp ? [deletionOf(kinds.pod, pod)] : [];

const isHeld = (claim: Claim): boolean => claim.metadata.finalizers?.includes(imageStreamFinalizer) ?? false;

/** Only when the pod is gone: a claim that is held owns nothing that would go with it. */
const letGo = (claim: Claim, pod: Pod | undefined): Step[] =>
  pod ? deletePod(pod) : patchMetadata(kinds.claim, claim, { finalizers: { [imageStreamFinalizer]: false } });

function startOver({ claim, pod }: ImportFacts): Plan {
  const wanted: Wanted = {
    [annotations.importFatalError]: null,
    [annotations.podPhase]: null,
    [annotations.runningCondition]: null,
    [annotations.runningConditionMessage]: null,
    [annotations.runningConditionReason]: null,
    [ourAnnotations.importCode]: null,
    [ourAnnotations.importStage]: null,
    [ourAnnotations.importAttempt]: null,
    [ourAnnotations.importRetried]: annotationOf(claim, annotations.importRetry),
  };
  return { steps: [...patchMetadata(kinds.claim, claim, { annotations: wanted }), ...deletePod(pod)] };
}

function start(seen: ImportFacts, options: ControllerOptions): Plan {
  const { claim, users, config, overhead } = seen;
  if (users.length > 0) {
    return { steps: [tellOf(claim, "Warning", "ImportTargetInUse", inUseText(claim, users))] };
  }
  const withScratch = needsScratch(claim);
  const name = importerPodName(claim.metadata.name ?? "");
  const wanted: Wanted = {
    [annotations.importPodName]: name,
    ...(withScratch ? creatingScratch : {}),
  };
  const label = claim.metadata.labels?.[labels.app] === undefined ? { [labels.app]: appName } : {};
  const isKept = annotationOf(claim, annotations.podRetainAfterCompletion) === "true";
  const marked = patchMetadata(kinds.claim, claim, {
    annotations: wanted,
    labels: label,
    ...(isImageStream(claim) && !isKept ? { finalizers: { [imageStreamFinalizer]: true } } : {}),
  });
  return {
    steps: [
      // A pod that is gone may have finished the disk, and the claim seen here be older than that news.
      ...(marked.length > 0 ? marked : [stillAsSeen(kinds.claim, claim)]),
      { do: "create", kind: kinds.pod, object: importerPodFor({ claim, config, overhead, withScratch, options }) },
    ],
  };
}
