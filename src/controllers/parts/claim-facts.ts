// Questions about a claim that is to be filled, whoever fills it: pure, over its annotations and the configuration.
import { annotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { Claim } from "../../api/core.ts";

export const annotationOf = (claim: Claim, key: string): string | undefined => claim.metadata.annotations?.[key];

export const isComplete = (claim: Claim): boolean => annotationOf(claim, annotations.podPhase) === "Succeeded";

const honorsFirstConsumer = (config: CdiConfig | undefined): boolean =>
  config?.spec.featureGates?.includes("HonorWaitForFirstConsumer") ?? false;

/** With the gate on a claim is left alone until bound; with it off our pod is the first consumer. */
export function mayStart(claim: Claim, config: CdiConfig | undefined): boolean {
  const phase = claim.status?.phase ?? "Pending";
  if (phase === "Lost") return false;
  if (phase === "Bound" || !honorsFirstConsumer(config)) return true;
  return annotationOf(claim, annotations.bindImmediate) !== undefined;
}
