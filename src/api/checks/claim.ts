// What must hold of `spec.pvc` and `spec.storage` (admission.md section 2, checks 2-11).
import { parseQuantity, quantityPattern } from "../../lib/quantity.ts";
import { accessModes } from "../claim-spec.ts";
import { firstComplaint, invalid, type Cause } from "./cause.ts";
import type { DataVolumeSpec } from "../data-volume.ts";

const mebibyte = 1024 * 1024;
export const longestName = 253;

type Part = "PVC" | "Storage";

/** Checks 2-10; the first failure is the answer. */
export function claimComplaints(spec: DataVolumeSpec): Cause[] {
  if (!spec.pvc && !spec.storage) return [invalid("spec.PVC", "Missing Data volume PVC")];
  if (spec.pvc && spec.storage) {
    return [invalid("spec.PVC.Storage", "Duplicate storage definition, both target storage and target pvc defined")];
  }
  return firstComplaint([() => sizeComplaints(spec), () => className(spec), () => modeComplaints(spec)]);
}

function sizeComplaints(spec: DataVolumeSpec): Cause[] {
  const part: Part = spec.pvc ? "PVC" : "Storage";
  const field = `spec.${part}.resources.requests.size`;
  const asked = (spec.pvc ?? spec.storage)?.resources?.requests?.["storage"];
  if (asked === undefined) {
    return sizeMayBeMissing(spec) ? [] : [invalid(field, `${part} size is missing`)];
  }
  if (!quantityPattern.test(String(asked))) {
    return [invalid(field, `${part} size is not a quantity: ${JSON.stringify(asked)}`)];
  }
  const bytes = parseQuantity(asked) ?? (String(asked).startsWith("-") ? -1 : Infinity);
  if (bytes <= 0) return [invalid(field, `${part} size can't be equal or less than zero`)];
  if (bytes < mebibyte) return [invalid(field, `${part} size should be at least 1MiB`)];
  return [];
}

/** A clone into `storage` takes the source's size. */
const sizeMayBeMissing = ({ storage, source, sourceRef }: DataVolumeSpec): boolean =>
  storage !== undefined && (source?.pvc ?? source?.snapshot ?? sourceRef) !== undefined;

function className(spec: DataVolumeSpec): Cause[] {
  const name = (spec.pvc ?? spec.storage)?.storageClassName ?? "";
  return name.length > longestName ? [invalid("", `Name cannot be longer than ${longestName} characters`)] : [];
}

function modeComplaints(spec: DataVolumeSpec): Cause[] {
  const field = "spec.PVC.accessModes";
  const modes: readonly string[] = (spec.pvc ?? spec.storage)?.accessModes ?? [];
  if (spec.pvc && modes.length === 0) {
    return [invalid(field, "Required value: at least 1 access mode is required")];
  }
  if (spec.pvc && modes.length > 1) return [invalid(field, "PVC multiple accessModes")];
  if (modes.every((mode) => (accessModes as readonly string[]).includes(mode))) return [];
  const known = accessModes.toSorted().map((mode) => `"${mode}"`);
  // The first mode of the list is quoted even where another one is the bad one: upstream's text.
  return [invalid(field, `Unsupported value: "${modes[0]}": supported values: ${known.join(", ")}`)];
}

export const isExternallyPopulated = (spec: DataVolumeSpec): boolean => {
  const claim = spec.pvc ?? spec.storage;
  return claim?.dataSource !== undefined || claim?.dataSourceRef !== undefined;
};

/** Check 11: all complaints, not only the first. */
export function externalPopulationComplaints(spec: DataVolumeSpec): Cause[] {
  const claim = spec.pvc ?? spec.storage;
  const base = `spec.${spec.pvc ? "PVC" : "Storage"}`;
  const { dataSource, dataSourceRef } = claim ?? {};
  const causes: Cause[] = [];
  if (spec.source || spec.sourceRef) {
    causes.push(invalid("spec.source", "External population is incompatible with Source and SourceRef"));
  }
  if (dataSource && dataSourceRef) causes.push(invalid(base, "DataSourceRef and DataSource must match"));
  if (dataSource) causes.push(...referenceComplaints(`${base}.dataSource`, "DataSource", dataSource));
  if (dataSourceRef) {
    causes.push(...referenceComplaints(`${base}.dataSourceRef`, "DataSourceRef", dataSourceRef));
    if (dataSourceRef.namespace) {
      causes.push(invalid(`${base}.dataSourceRef.namespace`, "Invalid value: DataSourceRef namespace not supported"));
    }
  }
  return causes;
}

function referenceComplaints(
  field: string,
  word: string,
  ref: { apiGroup?: string; kind?: string; name?: string },
): Cause[] {
  const causes: Cause[] = [];
  if (!ref.name) causes.push(invalid(`${field}.name`, `Required value: ${word} name`));
  if (!ref.kind) causes.push(invalid(`${field}.kind`, `Required value: ${word} kind`));
  if (!ref.apiGroup && ref.kind !== "PersistentVolumeClaim") {
    causes.push(
      invalid(`${field}.apiGroup`, `Required value: ${word} apiGroup when kind is not 'PersistentVolumeClaim'`),
    );
  }
  return causes;
}
