// DataVolume checks, called in process: what the validating webhook does on a real cluster (interfaces/admission.md).
import { checkDataVolume } from "../api/checks/data-volume.ts";
import type { DataVolume } from "../api/data-volume.ts";
import { kinds } from "../api/kinds.ts";
import type { AdmissionHook } from "./types.ts";

const validateDataVolume: AdmissionHook = ({ operation, kind, object, oldObject }, read) => {
  if (kind.plural !== kinds.dataVolume.plural || kind.apiVersion !== kinds.dataVolume.apiVersion) return [];
  if (operation === "DELETE") return [];
  const { name = "", namespace } = object.metadata;
  const claimOfSameName = read.get(kinds.claim, name, namespace);
  return checkDataVolume({
    operation,
    object: object as DataVolume,
    ...(oldObject ? { oldObject: oldObject as DataVolume } : {}),
    ...(claimOfSameName ? { claimOfSameName } : {}),
  });
};

export const admission: AdmissionHook[] = [validateDataVolume];
