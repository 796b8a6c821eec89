// Growing a claim: only a bound one may, of a class that allows it, as Kubernetes' admission plugin PersistentVolumeClaimResize
// has it.
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import { text } from "./builtins/fields.ts";
import { forbidden } from "./errors.ts";
import { builtinOf } from "./registry.ts";
import { keyFor, type Resource } from "./resource.ts";
import { valueOf, type World } from "./world.ts";

const classes = builtinOf(kinds.storageClass);
const askedBytes = (claim: KubeObject): number =>
  parseQuantity(text(claim, "spec", "resources", "requests", "storage")) ?? 0;

/** @throws ApiError 403 */
export function passClaimResize({ store }: World, resource: Resource, draft: KubeObject, old: KubeObject): void {
  if (resource.group !== "" || resource.plural !== kinds.claim.plural || askedBytes(draft) <= askedBytes(old)) return;
  const { name = "" } = draft.metadata;
  if (text(old, "status", "phase") !== "Bound") {
    throw forbidden(resource, name, "Only bound persistent volume claims can be expanded");
  }
  const className = text(old, "spec", "storageClassName");
  const row = className === "" ? undefined : store.get(keyFor(classes, undefined, className));
  if ((row && valueOf(row))?.["allowVolumeExpansion"] === true) return;
  const why =
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
  throw forbidden(resource, name, why);
}
