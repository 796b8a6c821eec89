// Questions about a claim that is the target of an import: pure, over its annotations.
import { annotations } from "../../api/annotations.ts";
import type { Claim } from "../../api/core.ts";
import { annotationOf } from "../parts/claim-facts.ts";
import { ourAnnotations } from "../parts/our-annotations.ts";

/** Sources this release's controller makes pods for. */
const handled = ["http", "none", "registry"];

/** "" where the claim is no import target; an absent or unknown source with an endpoint means http, as upstream reads it. */
export function importSourceOf(claim: Claim): string {
  const source = annotationOf(claim, annotations.importSource);
  if (source !== undefined) return source;
  return annotationOf(claim, annotations.importEndpoint) === undefined ? "" : "http";
}

/** Filled by this controller: an import target of a source we handle, and of nobody else. */
export function isOurs(claim: Claim): boolean {
  const taken = [
    annotations.externalPopulation,
    annotations.uploadTarget,
    annotations.cloneRequest,
    annotations.populatorKind,
  ];
  return handled.includes(importSourceOf(claim)) && taken.every((key) => annotationOf(claim, key) === undefined);
}

export const isFatal = (claim: Claim): boolean => annotationOf(claim, annotations.importFatalError) === "true";
export const wantsForever = (claim: Claim): boolean => annotationOf(claim, annotations.importRetryForever) === "true";

/** A Failed import is tried again when `retry` has a value it did not have at the failure. */
export function retryAsked(claim: Claim): boolean {
  const wanted = annotationOf(claim, annotations.importRetry);
  return wanted !== undefined && wanted !== annotationOf(claim, ourAnnotations.importRetried);
}
