// Whether a DataVolume may be stored (admission.md section 2): pure, in upstream's order and words.
import { annotations } from "../annotations.ts";
import { parseGoBool } from "../go-bool.ts";
import { kinds } from "../kinds.ts";
import { duplicate, firstComplaint, invalid, type Cause } from "./cause.ts";
import { claimComplaints, externalPopulationComplaints, isExternallyPopulated, longestName } from "./claim.ts";
import { sameButCheckpoints, sameSpec } from "./same-spec.ts";
import { sourceComplaints } from "./source.ts";
import type { DataVolumeSpec } from "../data-volume.ts";
import type { KubeObject } from "../meta.ts";

export type { Cause };

export interface DataVolumeReview {
  object: KubeObject;
  /** What is stored now; present on UPDATE. */
  oldObject?: KubeObject | undefined;
  operation: "CREATE" | "UPDATE" | "DELETE";
  /** The claim of the DataVolume's namespace and name, if there is one. Looked at on CREATE only. */
  claimOfSameName?: KubeObject | undefined;
  /** Feature gate DataVolumeClaimAdoption. */
  adoptionGate?: boolean;
}

/** @returns the complaints of the first check that fails; none when the object may be stored */
export function checkDataVolume(review: DataVolumeReview): Cause[] {
  if (review.operation === "DELETE") return [];
  const spec = specOf(review.object);
  return firstComplaint([
    () => specChange(review, spec),
    () => nameComplaints(review.object),
    () => claimInTheWay(review),
    () => claimComplaints(spec),
    () => (isExternallyPopulated(spec) ? externalPopulationComplaints(spec) : sourceComplaints(spec)),
  ]);
}

/** The schema was checked before: a missing spec never gets here from a server. */
const specOf = (object: KubeObject): DataVolumeSpec => (object["spec"] ?? {}) as DataVolumeSpec;

function specChange({ operation, oldObject }: DataVolumeReview, spec: DataVolumeSpec): Cause[] {
  if (operation !== "UPDATE" || !oldObject) return [];
  const before = specOf(oldObject);
  if (sameSpec(before, spec) || isNextStage(before, spec)) return [];
  return [duplicate("DataVolume.Spec", "Cannot update DataVolume Spec")];
}

/** A multi-stage import is told its next checkpoint by an update of the spec. */
const isNextStage = (before: DataVolumeSpec, spec: DataVolumeSpec): boolean =>
  (spec.source?.vddk ?? spec.source?.imageio) !== undefined &&
  (spec.checkpoints ?? []).length > 0 &&
  sameButCheckpoints(before, spec);

const nameComplaints = ({ metadata }: KubeObject): Cause[] =>
  (metadata.name ?? "").length > longestName
    ? [invalid("", `Name cannot be longer than ${longestName} characters`)]
    : [];

function claimInTheWay({ operation, object, claimOfSameName: claim, adoptionGate = false }: DataVolumeReview): Cause[] {
  if (operation !== "CREATE" || !claim) return [];
  const name = object.metadata.name ?? "";
  if (claim.metadata.annotations?.[annotations.populatedFor] === name) return [];
  if (mayAdopt(object, adoptionGate)) return [];
  const owner = claim.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.kind === kinds.dataVolume.kind) return [];
  const shown = `${claim.metadata.namespace ?? ""}/${claim.metadata.name ?? ""}`;
  return [duplicate("DataVolume.Name", `Destination PVC ${shown} already exists`)];
}

/** The annotation overrides the gate either way; text that is no Go bool means no. */
function mayAdopt({ metadata }: KubeObject, adoptionGate: boolean): boolean {
  const asked = metadata.annotations?.[annotations.allowClaimAdoption];
  return asked === undefined ? adoptionGate : (parseGoBool(asked) ?? false);
}
