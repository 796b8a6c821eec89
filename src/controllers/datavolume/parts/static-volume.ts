// A volume made by hand for one DataVolume (annotation storage.checkStaticVolume, interfaces/datavolume-lifecycle.md section 8): the
// claim is made for the volumes that name it, bound to one of them, and taken as it is. Pure.
import { annotations } from "../../../api/annotations.ts";
import type { ClaimSpec } from "../../../api/claim-spec.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolume } from "../../../api/data-volume.ts";
import { kinds } from "../../../api/kinds.ts";
import type { Plan } from "../../../kube/index.ts";
import { patchMetadata } from "../../parts/annotation-changes.ts";
import { defaultClassOf } from "../../parts/default-class.ts";
import { satisfies, type StorageFacts } from "../../parts/render-claim.ts";
import { deletionOf, tellOf } from "../../parts/steps.ts";

/** @returns names of free volumes whose claimRef is the DataVolume's claim, and that serve it; none where nobody asked */
export function staticVolumesFor(
  { metadata }: DataVolume,
  spec: ClaimSpec,
  { volumes, classes }: Pick<StorageFacts, "volumes" | "classes">,
): readonly string[] {
  if (metadata.annotations?.[annotations.checkStaticVolume] === undefined) return [];
  // A claim that names no class is given the cluster's when it is made.
  const storageClassName = spec.storageClassName ?? defaultClassOf(classes, "kubernetes")?.metadata.name;
  const wanted = storageClassName === undefined ? spec : { ...spec, storageClassName };
  return volumes
    .filter(({ spec: { claimRef } }) => claimRef?.namespace === metadata.namespace && claimRef?.name === metadata.name)
    .filter((volume) => satisfies(volume, wanted))
    .map((volume) => volume.metadata.name ?? "");
}

const listed = (claim: Claim): string | undefined => claim.metadata.annotations?.[annotations.persistentVolumeList];

/** The claim was made for such volumes, and it is not known yet which one it has. */
export const awaitsStaticVolume = (claim: Claim): boolean => listed(claim) !== undefined;

/** @returns undefined while the claim is not bound, and where this is not its story */
export function settleStaticVolume(dataVolume: DataVolume, claim: Claim): Plan | undefined {
  const list = listed(claim);
  if (list === undefined || claim.status?.phase !== "Bound") return undefined;
  const bound = claim.spec.volumeName ?? "";
  if (namesOf(list).includes(bound)) {
    const populatedFor = dataVolume.metadata.name ?? "";
    const wanted = { [annotations.persistentVolumeList]: null, [annotations.populatedFor]: populatedFor };
    return { steps: patchMetadata(kinds.claim, claim, { annotations: wanted }) };
  }
  const message = `DataVolume bound to unexpected PV ${bound}`;
  return { steps: [tellOf(dataVolume, "Warning", "ErrUnexpectedVolume", message), deletionOf(kinds.claim, claim)] };
}

/** A list that somebody spoilt names nothing. */
function namesOf(list: string): readonly unknown[] {
  try {
    const names: unknown = JSON.parse(list);
    return Array.isArray(names) ? names : [];
  } catch (cause) {
    if (cause instanceof SyntaxError) return [];
    throw cause;
  }
}
