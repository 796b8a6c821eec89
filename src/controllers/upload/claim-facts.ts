// Questions about a claim that is the target of an upload: pure, over its annotations.
import { annotations } from "../../api/annotations.ts";
import type { Claim } from "../../api/core.ts";
import { annotationOf } from "../parts/claim-facts.ts";

/** Marked as a target, and nobody else's to fill. @throws Error for a claim that is the target of a clone as well */
export function isUploadTarget(claim: Claim): boolean {
  if (annotationOf(claim, annotations.uploadTarget) === undefined) return false;
  if (annotationOf(claim, annotations.cloneRequest) !== undefined)
    throw new Error(`claim ${claim.metadata.name ?? ""} is the target of an upload and of a clone`);
  return true;
}
