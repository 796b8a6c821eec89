// From a DataVolume's `spec.storage` to the claim's spec: class, modes and size (interfaces/storage-decisions.md section 1).
// Pure; `spec.pvc` needs no rendering and is used word for word.
import { annotations } from "../../api/annotations.ts";
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { AccessMode, ClaimSpec, StorageSpec, VolumeMode } from "../../api/claim-spec.ts";
import type { StorageClass, Volume } from "../../api/core.ts";
import type { DataVolumeSpec } from "../../api/data-volume.ts";
import type { StorageProfile } from "../../api/storage-profile.ts";
import type { FaultCode } from "../../lib/faults.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import { defaultClassOf } from "./default-class.ts";
import { overheadOf, requiredBytes } from "./overhead.ts";

/** What rendering looks at, beside the DataVolume. */
export interface StorageFacts {
  classes: readonly StorageClass[];
  profiles: readonly StorageProfile[];
  volumes: readonly Volume[];
  config: CdiConfig | undefined;
}

/** The claim cannot be rendered now; `message` is upstream's text, for a Warning ErrClaimNotValid. */
export class ClaimNotValid extends Error {
  /** Where the catalog has a word for it. */
  readonly code: FaultCode | undefined;
  constructor(message: string, code?: FaultCode) {
    super(message);
    this.name = "ClaimNotValid";
    this.code = code;
  }
}

/** @throws ClaimNotValid */
export function renderClaimSpec(spec: DataVolumeSpec, facts: StorageFacts): ClaimSpec {
  if (spec.pvc) return spec.pvc;
  if (!spec.storage) throw new ClaimNotValid("datavolume one of {pvc, storage} field is required");
  const withModes = renderModes(spec.storage, spec.contentType === "archive", facts);
  return renderSize(withModes, facts);
}

const copied = [
  "accessModes",
  "selector",
  "resources",
  "volumeName",
  "storageClassName",
  "volumeMode",
  "dataSource",
  "dataSourceRef",
] as const;

function renderModes(storage: StorageSpec, archive: boolean, facts: StorageFacts): ClaimSpec {
  if (archive && storage.volumeMode === "Block") {
    throw new ClaimNotValid("ContentType Archive cannot have block volumeMode");
  }
  const spec = Object.fromEntries(
    copied.flatMap((field) => (storage[field] === undefined ? [] : [[field, storage[field]]])),
  ) as ClaimSpec;
  if (archive) spec.volumeMode = "Filesystem";
  const chosen =
    spec.storageClassName === undefined
      ? defaultClassOf(facts.classes, archive ? "kubernetes" : "virt")
      : facts.classes.find((one) => one.metadata.name === spec.storageClassName);
  if (!chosen) return renderWithoutClass(spec, facts);
  const name = chosen.metadata.name ?? "";
  return withProfile({ ...spec, storageClassName: name }, name, facts);
}

function renderWithoutClass(spec: ClaimSpec, facts: StorageFacts): ClaimSpec {
  const volume = spec.storageClassName ? facts.volumes.find((one) => satisfies(one, spec)) : undefined;
  const rendered: ClaimSpec = { ...spec };
  if (volume) {
    rendered.volumeMode = volume.spec.volumeMode ?? "Filesystem";
    if (!spec.accessModes?.length && volume.spec.accessModes)
      rendered.accessModes = volume.spec.accessModes as AccessMode[];
  }
  if (!rendered.accessModes?.length) {
    const code = spec.storageClassName ? "ObjectMissing" : undefined;
    throw new ClaimNotValid("PVC spec is missing accessMode and no storageClass to choose profile", code);
  }
  return rendered;
}

/** Whether a volume is free, of the claim's class, large enough, and of its modes. */
export function satisfies(volume: Volume, spec: ClaimSpec): boolean {
  if (volume.status?.phase !== "Available" || volume.spec.storageClassName !== spec.storageClassName) return false;
  const [has, wants] = [volume.spec.capacity?.storage, spec.resources?.requests?.storage];
  if (wants !== undefined && (parseQuantity(has ?? 0) ?? 0) < (parseQuantity(wants) ?? 0)) return false;
  if (spec.volumeMode && spec.volumeMode !== (volume.spec.volumeMode ?? "Filesystem")) return false;
  return (spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode));
}

function withProfile(spec: ClaimSpec, className: string, facts: StorageFacts): ClaimSpec {
  const profile = facts.profiles.find((one) => one.metadata.name === className);
  const sets = profile?.status?.claimPropertySets ?? [];
  const missingModes = !spec.accessModes?.length;
  if (missingModes && !spec.volumeMode) {
    const first = sets[0];
    if (!first?.accessModes.length) {
      throw new ClaimNotValid(
        `Spec is missing accessMode and volumeMode, cannot get access mode from StorageProfile ${className}`,
      );
    }
    return { ...spec, accessModes: first.accessModes, volumeMode: first.volumeMode as VolumeMode };
  }
  if (missingModes) {
    const fitting = sets.find((set) => set.volumeMode === spec.volumeMode && set.accessModes.length > 0);
    if (!fitting) {
      throw new ClaimNotValid(`Spec is missing accessMode and cannot get access mode from StorageProfile ${className}`);
    }
    return { ...spec, accessModes: fitting.accessModes };
  }
  if (spec.volumeMode) return spec;
  const sharing = sets.find((set) => set.accessModes.some((mode) => spec.accessModes?.includes(mode)));
  return sharing ? { ...spec, volumeMode: sharing.volumeMode as VolumeMode } : spec;
}

const smallestBytes = 1024 * 1024;

function renderSize(spec: ClaimSpec, facts: StorageFacts): ClaimSpec {
  const asked = spec.resources?.requests?.storage;
  const bytes = asked === undefined ? 0 : parseQuantity(asked);
  if (!bytes) throw new ClaimNotValid("PVC Spec is not valid - missing storage size");
  if (bytes < smallestBytes) throw new ClaimNotValid("PVC Spec is not valid - storage size should be at least 1MiB");
  const { storageClassName: className, volumeMode } = spec;
  const overhead = Number(overheadOf({ className, volumeMode, config: facts.config, classes: facts.classes }));
  const inflated = volumeMode === "Block" ? bytes : requiredBytes(bytes, overhead);
  const profile = facts.profiles.find((one) => one.metadata.name === className);
  const floor = parseQuantity(profile?.metadata.annotations?.[annotations.minimumSupportedSize] ?? "") ?? 0;
  const storage = String(Math.max(inflated, floor));
  return { ...spec, resources: { ...spec.resources, requests: { ...spec.resources?.requests, storage } } };
}
