// The patch types and what each may be used on.
import type { KubeObject } from "../../../api/meta.ts";
import type { PatchKind } from "../../../kube/index.ts";
import { badRequest, unsupportedMedia } from "../errors.ts";
import type { Resource } from "../resource.ts";
import { isRecord } from "../schema/structural.ts";
import { jsonPatch } from "./json.ts";
import { mergePatch } from "./merge.ts";
import { strategicPatch } from "./strategic.ts";

const kindOfMedia: Readonly<Record<string, PatchKind>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
};
const accepted = Object.keys(kindOfMedia);

/** @throws ApiError 415; custom resources know no strategic patch */
export function patchKindOf(resource: Resource, media: string): PatchKind {
  const kind = kindOfMedia[media];
  const strategicHere = kind !== "strategic" || !resource.custom;
  if (kind && strategicHere) return kind;
  throw unsupportedMedia(resource.custom ? accepted.slice(0, 2) : accepted);
}

/** @throws ApiError 400, 422 */
export function patched(old: KubeObject, kind: PatchKind, body: unknown): unknown {
  if (kind === "json") return jsonPatch(old, body);
  if (!isRecord(body)) throw badRequest("the patch is no object");
  return kind === "merge" ? mergePatch(old, body) : strategicPatch(old, body);
}
