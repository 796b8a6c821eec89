import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { ClaimSpec, StorageSpec } from "../../../src/api/claim-spec.ts";
import { ClaimNotValid, renderClaimSpec, type StorageFacts } from "../../../src/controllers/parts/render-claim.ts";
import { aConfig, aDefaultClass, anAvailableVolume, aProfile, aStorageClass } from "../../support/objects.ts";
import type { FaultCode } from "../../../src/lib/faults.ts";

const size = (storage: string) => ({ requests: { storage } });
const virtClass = aStorageClass("virt", { annotations: { [annotations.defaultVirtClass]: "true" } });
const profile = aProfile("local", [
  { accessModes: ["ReadWriteMany"], volumeMode: "Block" },
  { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem" },
]);
const facts: StorageFacts = {
  classes: [aDefaultClass("local")],
  profiles: [profile],
  volumes: [],
  config: aConfig({ overhead: "0.06" }),
};
const gib = 2 ** 30;
const inflated = String(Math.ceil(gib * 1.06));

interface Row {
  when: string;
  storage: StorageSpec;
  archive?: boolean;
  facts?: Partial<StorageFacts>;
  is: Partial<ClaimSpec>;
}

describe("what is asked for and what is made of it", () => {
  const rows: Row[] = [
    {
      when: "nothing but a size: class, and the profile's first set",
      storage: { resources: size("1Gi") },
      is: {
        storageClassName: "local",
        accessModes: ["ReadWriteMany"],
        volumeMode: "Block",
        resources: size(String(gib)),
      },
    },
    {
      when: "a mode: the first set of that mode, and the size grows",
      storage: { volumeMode: "Filesystem", resources: size("1Gi") },
      is: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem", resources: size(inflated) },
    },
    {
      when: "access modes: the first set that shares one",
      storage: { accessModes: ["ReadWriteOnce"], resources: size("1Gi") },
      is: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem", resources: size(inflated) },
    },
    {
      when: "access modes no set has: the mode stays open",
      storage: { accessModes: ["ReadOnlyMany"], resources: size("1Gi") },
      is: { accessModes: ["ReadOnlyMany"], resources: size(inflated) },
    },
    {
      when: "both: as asked",
      storage: { accessModes: ["ReadWriteOnce"], volumeMode: "Block", resources: size("5Gi") },
      is: { accessModes: ["ReadWriteOnce"], volumeMode: "Block", resources: size("5368709120") },
    },
    {
      when: "an archive is a file system",
      storage: { resources: size("1Gi") },
      archive: true,
      is: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem" },
    },
    {
      when: "the virt default comes first",
      storage: { accessModes: ["ReadWriteOnce"], volumeMode: "Block", resources: size("1Gi") },
      facts: { classes: [aDefaultClass("local"), virtClass] },
      is: { storageClassName: "virt" },
    },
    {
      when: "but not for archives",
      storage: { accessModes: ["ReadWriteOnce"], resources: size("1Gi") },
      archive: true,
      facts: { classes: [aDefaultClass("local"), virtClass] },
      is: { storageClassName: "local" },
    },
    {
      when: "no class at all, with access modes",
      storage: { accessModes: ["ReadWriteOnce"], resources: size("1Gi") },
      facts: { classes: [] },
      is: { accessModes: ["ReadWriteOnce"] },
    },
    {
      when: "a class that is only a volume's word",
      storage: { storageClassName: "manual", resources: size("1Gi") },
      facts: { volumes: [anAvailableVolume("manual", "2Gi", { volumeMode: "Block" })] },
      is: {
        storageClassName: "manual",
        accessModes: ["ReadWriteOnce"],
        volumeMode: "Block",
        resources: size(String(gib)),
      },
    },
    {
      when: "the profile's floor",
      storage: { volumeMode: "Block", resources: size("1Mi") },
      facts: {
        profiles: [
          { ...profile, metadata: { name: "local", annotations: { [annotations.minimumSupportedSize]: "1Gi" } } },
        ],
      },
      is: { resources: size(String(gib)) },
    },
    {
      when: "no class, only the access mode given",
      storage: { accessModes: ["ReadWriteMany"], resources: size("1Gi") },
      facts: { classes: [] },
      is: { accessModes: ["ReadWriteMany"], resources: size(inflated) },
    },
    {
      when: "a floor that is no quantity",
      storage: { volumeMode: "Block", resources: size("1Mi") },
      facts: {
        profiles: [
          { ...profile, metadata: { name: "local", annotations: { [annotations.minimumSupportedSize]: "lots" } } },
        ],
      },
      is: { resources: size("1048576") },
    },
  ];
  test.each(rows)("$when", ({ storage, archive, facts: more, is }) => {
    const spec = { storage, ...(archive ? { contentType: "archive" as const } : {}) };
    const rendered = renderClaimSpec(spec, { ...facts, ...more });
    expect(rendered).toMatchObject(is);
    if (!("volumeMode" in is)) return;
    expect(rendered.volumeMode).toBe(is.volumeMode);
  });

  test("spec.pvc is used word for word", () => {
    const pvc: ClaimSpec = { accessModes: ["ReadWriteOnce"], resources: size("500Mi") };
    expect(renderClaimSpec({ pvc }, facts)).toEqual(pvc);
  });
});

describe("what cannot be rendered says why in upstream's words", () => {
  const rows: {
    when: string;
    storage: StorageSpec;
    archive?: boolean;
    facts?: Partial<StorageFacts>;
    text: string;
    code?: FaultCode;
  }[] = [
    {
      when: "archive on block",
      storage: { volumeMode: "Block", resources: size("1Gi") },
      archive: true,
      text: "ContentType Archive cannot have block volumeMode",
    },
    {
      when: "no class, no access mode",
      storage: { resources: size("1Gi") },
      facts: { classes: [] },
      text: "PVC spec is missing accessMode and no storageClass to choose profile",
    },
    {
      when: "no class, only the volume mode given",
      storage: { volumeMode: "Block", resources: size("1Gi") },
      facts: { classes: [] },
      text: "PVC spec is missing accessMode and no storageClass to choose profile",
    },
    {
      when: "unknown class, no access mode",
      storage: { storageClassName: "gone", resources: size("1Gi") },
      text: "PVC spec is missing accessMode and no storageClass to choose profile",
      code: "ObjectMissing",
    },
    {
      when: "an empty profile",
      storage: { resources: size("1Gi") },
      facts: { profiles: [aProfile("local", [])] },
      text: "Spec is missing accessMode and volumeMode, cannot get access mode from StorageProfile local",
    },
    {
      when: "no set of that mode",
      storage: { volumeMode: "Filesystem", resources: size("1Gi") },
      facts: { profiles: [aProfile("local", [{ accessModes: ["ReadWriteOnce"], volumeMode: "Block" }])] },
      text: "Spec is missing accessMode and cannot get access mode from StorageProfile local",
    },
    { when: "no size", storage: {}, text: "PVC Spec is not valid - missing storage size" },
    {
      when: "a tiny size",
      storage: { resources: size("1Ki") },
      text: "PVC Spec is not valid - storage size should be at least 1MiB",
    },
  ];
  test.each(rows)("$when", ({ storage, archive, facts: more, text, code }) => {
    const spec = { storage, ...(archive ? { contentType: "archive" as const } : {}) };
    expect(() => renderClaimSpec(spec, { ...facts, ...more })).toThrow(new ClaimNotValid(text, code));
  });
});
