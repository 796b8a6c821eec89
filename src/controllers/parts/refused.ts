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

/** How the refusal of one kind of object is said. */
interface Saying {
  readonly text: (name: string, refusal: string) => string;
  /** Where no quota is the reason. */
  readonly reason: string;
  /** The condition of the claim it is said in; none: in an event only. */
  readonly condition?: { readonly status: string; readonly message: string; readonly reason: string };
  readonly also?: Wanted;
}

const sayings: Readonly<Record<string, Saying>> = {
  [kinds.pod.kind]: {
    text: (name) =>
      `Error starting pod '${name}': For more information, request access to cdi-deploy logs from your sysadmin`,
    reason: "ErrStartingPod",
    condition: {
      status: annotations.runningCondition,
      message: annotations.runningConditionMessage,
      reason: annotations.runningConditionReason,
    },
    also: { [annotations.podPhase]: "Failed" },
  },
  [kinds.claim.kind]: {
    text: (_name, refusal) => `Error creating scratch space: ${refusal}`,
    reason: "ErrClaimNotValid",
    condition: {
      status: annotations.boundCondition,
      message: annotations.boundConditionMessage,
      reason: annotations.boundConditionReason,
    },
  },
};
const ofOthers = (kind: string): Saying => ({
  text: (name, refusal) => `Error creating ${kind} '${name}': ${refusal}`,
  reason: "ErrStartingPod",
});

/** @returns undefined for what is not made, but changed: its refusal is an error */
export function decideRefused(claim: Claim, { step, refusal }: Refused): Plan | undefined {
  if (step.do !== "create") return undefined;
  const { kind } = step.kind;
  const { text, reason: otherwise, condition, also = {} } = sayings[kind] ?? ofOthers(kind);
  const isOverQuota = refusal.message.includes("exceeded quota");
  const reason = isOverQuota ? overQuota : otherwise;
  const message = text(step.object.metadata.name ?? "", refusal.message);
  const wanted: Wanted = {
    ...also,
    ...(condition ? { [condition.status]: "false", [condition.message]: message, [condition.reason]: reason } : {}),
    ...(isOverQuota ? { [ourAnnotations.importCode]: "QuotaExceeded" } : {}),
  };
  // The step before the refused one may have moved the version.
  const patches = regardless(patchMetadata(kinds.claim, claim, { annotations: wanted }));
  return { steps: [...patches, tellOf(claim, "Warning", reason, message)], lookAgainInMs: seconds(10) };
}

/** A quota kept the pod or its scratch space away, as far as the claim tells. */
export const wasOverQuota = (claim: Claim): boolean =>
  [annotations.runningConditionReason, annotations.boundConditionReason].some(
    (key) => annotationOf(claim, key) === overQuota,
  );
