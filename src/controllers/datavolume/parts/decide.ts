// What to do next for one DataVolume: make its claim, hand on what its user said since, write its status.
// Pure, facts in, steps out. The pod is not this room's business: see import/ and upload/.
import { annotations } from "../../../api/annotations.ts";
import type { ClaimSpec } from "../../../api/claim-spec.ts";
import type { Claim } from "../../../api/core.ts";
import { parseGoBool } from "../../../api/go-bool.ts";
import { kinds } from "../../../api/kinds.ts";
import { isTravelling } from "../../../api/labels.ts";
import { keyOf } from "../../../api/meta.ts";
import type { Plan, Step } from "../../../kube/index.ts";
import { seconds } from "../../../lib/duration.ts";
import { mayStart } from "../../parts/claim-facts.ts";
import { ownedBy } from "../../parts/worker-pod.ts";
import type { ControllerOptions } from "../../options.ts";
import { patchMetadata } from "../../parts/annotation-changes.ts";
import { wasFilled } from "../../parts/filled-before.ts";
import { ClaimNotValid, renderClaimSpec } from "../../parts/render-claim.ts";
import { tellOf } from "../../parts/steps.ts";
import type { Forced } from "./conditions.ts";
import { claimFor } from "./objects.ts";
import type { DataVolumeFacts } from "./observe.ts";
import type { Flow } from "../flow.ts";
import { flowOf } from "../flows.ts";
import { awaitsStaticVolume, settleStaticVolume, staticVolumesFor } from "./static-volume.ts";
import { computeStatus, statusPatch, type Addition } from "./status.ts";

export interface DecideOptions {
  controller: ControllerOptions;
  /** Additions the served schema drops, as far as seen. */
  dropped: ReadonlySet<Addition>;
  nowMs: number;
}

const nothing: Plan = { steps: [] };

export function decideDataVolume(seen: DataVolumeFacts | undefined, options: DecideOptions): Plan {
  const flow = seen && flowOf(seen.dataVolume);
  if (!flow || seen.dataVolume.metadata.deletionTimestamp) return nothing;
  const { dataVolume, claim } = seen;
  if (usesPopulator(seen)) return nothing;
  if (!claim) return withoutClaim(flow, seen, options);
  const name = claim.metadata.name ?? "";
  if (claim.metadata.deletionTimestamp) {
    const message = `Resource "${name}" marked for deletion`;
    return { steps: [tellOf(dataVolume, "Warning", "ErrResourceMarkedForDeletion", message)] };
  }
  if (isForeign(seen)) {
    const message = `Resource "${name}" already exists and is not managed by DataVolume`;
    return { steps: [tellOf(dataVolume, "Warning", "ErrResourceExists", message)], lookAgainInMs: seconds(60) };
  }
  const settled = settleStaticVolume(dataVolume, claim);
  if (settled) return settled;
  const steps = [
    ...handedOn(seen, claim),
    ...adoption(seen, claim),
    ...prePopulated(seen, claim),
    ...labelled(seen, claim),
  ];
  return { steps: [...steps, ...statusSteps(seen, claim, undefined, options)] };
}

/** @throws Error for text that is neither true nor false */
function usesPopulator({ dataVolume }: DataVolumeFacts): boolean {
  const text = dataVolume.metadata.annotations?.[annotations.usePopulator];
  if (text === undefined) return false;
  const value = parseGoBool(text);
  if (value === undefined)
    throw new Error(`annotation ${annotations.usePopulator} must be true or false, is ${JSON.stringify(text)}`);
  return value;
}

function withoutClaim(flow: Flow, seen: DataVolumeFacts, options: DecideOptions): Plan {
  const { dataVolume, storage } = seen;
  if (dataVolume.metadata.annotations?.[annotations.prePopulated] !== undefined) {
    return { steps: statusSteps(seen, undefined, undefined, options) };
  }
  let spec: ClaimSpec;
  try {
    spec = renderClaimSpec(dataVolume.spec, storage);
  } catch (cause) {
    if (!(cause instanceof ClaimNotValid)) throw cause;
    const { message, code } = cause;
    return decideNoClaim(seen, { phase: "", reason: "ErrClaimNotValid", message, code }, options);
  }
  const volumes = staticVolumesFor(dataVolume, spec, storage);
  const work =
    volumes.length > 0
      ? { [annotations.persistentVolumeList]: JSON.stringify(volumes) }
      : flow.claimAnnotations(dataVolume);
  const claim = claimFor(dataVolume, spec, work, storage.config, options.controller);
  const road = patchMetadata(kinds.dataVolume, dataVolume, { annotations: { [annotations.usePopulator]: "false" } });
  // The claim as it will be in a moment; what it becomes then brings the next run.
  const expected: Claim = { ...claim, status: { phase: "Pending" } };
  const create: Step = { do: "create", kind: kinds.claim, object: claim };
  const status = statusSteps(seen, expected, undefined, options);
  // Under a DataVolume that says Succeeded the new, empty claim would pass for the filled one.
  if (dataVolume.status?.phase === "Succeeded") return { steps: [...road, ...status, create] };
  return { steps: [...road, create, ...status] };
}

/** The claim cannot be made: the status says why, and a change of classes, profiles or volumes brings the next try. */
export function decideNoClaim(seen: DataVolumeFacts, forced: Forced, options: DecideOptions): Plan {
  return { steps: statusSteps(seen, undefined, forced, options) };
}

/** The API server would not have the claim: quota, or a spec it finds invalid. */
export function decideClaimRefused(seen: DataVolumeFacts, message: string, options: DecideOptions): Plan {
  const quota = message.includes("exceeded quota:");
  const forced: Forced = quota
    ? { phase: "Pending", reason: "ErrExceededQuota", message, code: "QuotaExceeded" }
    : { phase: "", reason: "ErrClaimNotValid", message };
  return { ...decideNoClaim(seen, forced, options), lookAgainInMs: seconds(10) };
}

const isOwned = ({ dataVolume }: DataVolumeFacts, claim: Claim): boolean =>
  claim.metadata.ownerReferences?.some((one) => one.controller && one.uid === dataVolume.metadata.uid) ?? false;
const isPopulatedFor = ({ dataVolume }: DataVolumeFacts, claim: Claim): boolean =>
  claim.metadata.annotations?.[annotations.populatedFor] === dataVolume.metadata.name;

function isAdoptable({ dataVolume, storage }: DataVolumeFacts, claim: Claim): boolean {
  if (claim.metadata.annotations?.[annotations.createdForDataVolume] === dataVolume.metadata.uid) return false;
  const asked = dataVolume.metadata.annotations?.[annotations.allowClaimAdoption];
  if (asked !== undefined) return parseGoBool(asked) ?? false;
  return storage.config?.spec.featureGates?.includes("DataVolumeClaimAdoption") ?? false;
}

function isForeign(seen: DataVolumeFacts): boolean {
  const { claim } = seen;
  return claim !== undefined && !isOwned(seen, claim) && !isPopulatedFor(seen, claim) && !isAdoptable(seen, claim);
}

/** Nothing is to be filled: the claim came with its content, or has had it since an import that is done. */
const isFilled = (seen: DataVolumeFacts, claim: Claim): boolean =>
  isPopulatedFor(seen, claim) || isAdoptable(seen, claim) || wasFilled(seen.dataVolume, claim);

function adoption(seen: DataVolumeFacts, claim: Claim): Step[] {
  const { dataVolume } = seen;
  if (isOwned(seen, claim) || claim.metadata.ownerReferences?.some((one) => one.controller)) return [];
  const ownerReferences = [...(claim.metadata.ownerReferences ?? []), ownedBy(kinds.dataVolume, dataVolume)];
  const resourceVersion = claim.metadata.resourceVersion ?? "";
  return [
    {
      do: "patch",
      ref: { kind: kinds.claim, ...keyOf(claim) },
      body: { metadata: { ownerReferences } },
      resourceVersion,
    },
  ];
}

function prePopulated(seen: DataVolumeFacts, claim: Claim): Step[] {
  const { dataVolume } = seen;
  if (!isPopulatedFor(seen, claim) || claim.status?.phase !== "Bound") return [];
  if (dataVolume.metadata.annotations?.[annotations.prePopulated] !== undefined) return [];
  // Written onto a claim we filled ourselves it would keep a lost claim from being made again.
  if (claim.metadata.annotations?.[annotations.createdForDataVolume] === dataVolume.metadata.uid) return [];
  return patchMetadata(kinds.dataVolume, dataVolume, {
    annotations: { [annotations.prePopulated]: claim.metadata.name ?? "" },
  });
}

/** What the image said of itself, or the claim was given: never over what the user wrote. */
function labelled({ dataVolume }: DataVolumeFacts, claim: Claim): Step[] {
  const missing = Object.entries(claim.metadata.labels ?? {}).filter(
    ([key]) => isTravelling(key) && dataVolume.metadata.labels?.[key] === undefined,
  );
  return patchMetadata(kinds.dataVolume, dataVolume, { labels: Object.fromEntries(missing) });
}

const laterWords = [annotations.importRetry, annotations.importRetryForever] as const;

/** What a user may say on the DataVolume after its claim was made. */
function handedOn({ dataVolume }: DataVolumeFacts, claim: Claim): Step[] {
  const rows = laterWords.map((key) => [key, dataVolume.metadata.annotations?.[key]] as const);
  // Held back until the claim is filled by us: on it the word means "needs no filling".
  const filled =
    dataVolume.status?.phase === "Succeeded" ? dataVolume.metadata.annotations?.[annotations.populatedFor] : undefined;
  const wanted = { ...Object.fromEntries(rows), [annotations.populatedFor]: filled };
  return patchMetadata(kinds.claim, claim, { annotations: wanted });
}

function statusSteps(
  seen: DataVolumeFacts,
  claim: Claim | undefined,
  forced: Forced | undefined,
  options: DecideOptions,
): Step[] {
  const { dataVolume, storage, reading } = seen;
  const needsWork = claim !== undefined && !isFilled(seen, claim);
  const waitsForConsumer = claim !== undefined && isWaiting(seen, claim) && !mayStart(claim, storage.config);
  const { status, events } = computeStatus(
    { dataVolume, claim, forced, needsWork, waitsForConsumer, reading },
    options.nowMs,
  );
  const patch = statusPatch(dataVolume.status, status, options.dropped);
  if (!patch) return [];
  const resourceVersion = dataVolume.metadata.resourceVersion ?? "";
  const ref = { kind: kinds.dataVolume, ...keyOf(dataVolume) };
  return [{ do: "patch", ref, body: { status: patch }, subresource: "status", resourceVersion }, ...events];
}

function isWaiting({ storage }: DataVolumeFacts, claim: Claim): boolean {
  const named = storage.classes.find((one) => one.metadata.name === claim.spec.storageClassName);
  if (awaitsStaticVolume(claim)) return false;
  return named?.volumeBindingMode === "WaitForFirstConsumer" && claim.status?.phase === "Pending";
}
