// What to do next for one claim that is the target of an upload: pure, facts in, steps out. The pod's state is written on the
// claim's annotations, from which the DataVolume's status is computed, and which upload clients read.
import { annotations } from "../../api/annotations.ts";
import { kinds } from "../../api/kinds.ts";
import { appName, labels } from "../../api/labels.ts";
import { uploadPodName, uploadServiceName } from "../../contract/names.ts";
import type { Plan, Step } from "../../kube/index.ts";
import type { ControllerOptions } from "../options.ts";
import { patchMetadata, type Wanted } from "../parts/annotation-changes.ts";
import { mirrorEvents } from "../parts/claim-events.ts";
import { annotationOf, isComplete, mayStart } from "../parts/claim-facts.ts";
import { inUseText } from "../parts/claim-users.ts";
import { creatingScratch, needsScratch } from "../parts/scratch.ts";
import { deletionOf, stillAsSeen, tellOf } from "../parts/steps.ts";
import { podLifetimeMs } from "./certificate.ts";
import { isUploadTarget } from "./claim-facts.ts";
import { followPod } from "./follow-pod.ts";
import { uploadPodFor, uploadServiceFor } from "./objects.ts";
import type { UploadFacts } from "./observe.ts";

const nothing: Plan = { steps: [] };

export function decideUpload(seen: UploadFacts | undefined, options: ControllerOptions, nowMs: number): Plan {
  if (!seen || options.uploadServerImage === undefined) return nothing;
  const { claim } = seen;
  // The claim's protection waits for its pod, and the pod's owner waits for the claim: someone must begin.
  if (claim.metadata.deletionTimestamp || !isUploadTarget(claim)) return { steps: takeDown(seen) };
  if (isComplete(claim) || seen.filled) {
    const kept = annotationOf(claim, annotations.podRetainAfterCompletion) === "true";
    return { steps: kept ? [] : takeDown(seen) };
  }
  const mirrored = mirrorEvents(claim, seen.events);
  const plan = goOn(seen, options, nowMs);
  return mirrored.length > 0 ? { ...plan, steps: [...mirrored, ...plan.steps] } : plan;
}

/** Service and pod go; what the pod owns goes with it. */
const takeDown = ({ pod, services }: UploadFacts): Step[] => [
  ...services
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map((one) => deletionOf(kinds.service, one)),
  ...(pod && !pod.metadata.deletionTimestamp ? [deletionOf(kinds.pod, pod)] : []),
];

function goOn(seen: UploadFacts, options: ControllerOptions, nowMs: number): Plan {
  const { claim, pod, config } = seen;
  if (pod?.metadata.deletionTimestamp) return nothing;
  if (pod) {
    const plan = followPod({ ...seen, pod }, options, nowMs);
    return { ...plan, steps: [...serviceSteps(seen, options), ...plan.steps] };
  }
  return mayStart(claim, config) ? start(seen, options, nowMs) : nothing;
}

/**
 * At once, not when the server asks: a client that is told to send again has sent everything for nothing, and an older one does
 * not try again (docs/adr/0023). An archive never needs it.
 */
const getsScratch = (claim: UploadFacts["claim"]): boolean =>
  needsScratch(claim) || annotationOf(claim, annotations.contentType) !== "archive";

function serviceSteps({ claim, services }: UploadFacts, options: ControllerOptions): Step[] {
  const name = uploadServiceName(claim.metadata.name ?? "");
  if (services.some(({ metadata }) => metadata.name === name)) return [];
  return [{ do: "create", kind: kinds.service, object: uploadServiceFor(claim, options) }];
}

function start(seen: UploadFacts, options: ControllerOptions, nowMs: number): Plan {
  const { claim, users, config, overhead } = seen;
  if (users.length > 0) return { steps: [tellOf(claim, "Warning", "UploadTargetInUse", inUseText(claim, users))] };
  const withScratch = getsScratch(claim);
  const wanted: Wanted = {
    [annotations.uploadPodName]: uploadPodName(claim.metadata.name ?? ""),
    [annotations.podReady]: "false",
    ...(withScratch ? creatingScratch : {}),
  };
  const label = claim.metadata.labels?.[labels.app] === undefined ? { [labels.app]: appName } : {};
  const marked = patchMetadata(kinds.claim, claim, { annotations: wanted, labels: label });
  const deadlineMs = nowMs + podLifetimeMs;
  const pod = uploadPodFor({ claim, config, overhead, withScratch, options, deadlineMs });
  return {
    steps: [
      // A pod that is gone may have finished the disk, and the claim seen here be older than that news.
      ...(marked.length > 0 ? marked : [stillAsSeen(kinds.claim, claim)]),
      ...serviceSteps(seen, options),
      { do: "create", kind: kinds.pod, object: pod },
    ],
  };
}
