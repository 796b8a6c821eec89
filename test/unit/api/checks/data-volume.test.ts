// One row per check of a DataVolume's claim, name and changes (interfaces/admission.md section 2, checks U1-11).
import { describe, expect, test } from "vitest";
import { checkDataVolume, type DataVolumeReview } from "../../../../src/api/checks/data-volume.ts";
import {
  aClaim,
  aDataVolume,
  create,
  http,
  long,
  pvc,
  said,
  sized,
  url,
  valid,
  withSource,
  type Fields,
} from "./builders.ts";

describe("what may be stored", () => {
  test.each<[string, Fields]>([
    ["http into pvc", valid],
    ["http into storage, sized only", { source: { http }, storage: sized("1Gi") }],
    ["a size in plain bytes, as a number", { ...valid, pvc: { ...pvc, ...sized(1_048_576) } }],
    ["a size with a leading zero", { ...valid, pvc: { ...pvc, ...sized("01Gi") } }],
    ["a size past what a double holds", { ...valid, pvc: { ...pvc, ...sized("9Ei") } }],
    ["ReadWriteOncePod", { ...valid, pvc: { ...pvc, accessModes: ["ReadWriteOncePod"] } }],
    [
      "several modes in storage",
      { source: { http }, storage: { ...sized("1Gi"), accessModes: ["ReadWriteMany", "ReadWriteOnce"] } },
    ],
    ["blank", withSource({ blank: {} })],
    ["upload", withSource({ upload: {} })],
    ["upload of an archive", withSource({ upload: {} }, { contentType: "archive" })],
    ["scheme gs on an http source", withSource({ http: { url: "gs://bucket/disk" } })],
    ["an upper-case scheme", withSource({ http: { url: "HTTPS://server.test/disk" } })],
    ["a checksum in upper case with blanks", withSource({ http: { url, checksum: ` MD5 : ${"A".repeat(32)} ` } })],
    ["registry by docker URL", withSource({ registry: { url: "docker://quay.test/disk:1" } })],
    ["registry by archive URL", withSource({ registry: { url: "oci-archive:/images/disk.tar" } })],
    ["registry by stream and node pull", withSource({ registry: { imageStream: "stream", pullMethod: "node" } })],
    [
      "imageio without checking certificates",
      withSource({ imageio: { url, diskId: "1", secretRef: "s", insecureSkipVerify: true } }),
    ],
    ["vddk", withSource({ vddk: { url, secretRef: "s", uuid: "u", backingFile: "b", thumbprint: "t" } })],
    ["a clone of a claim into storage without a size", { source: { pvc: { name: "a", namespace: "b" } }, storage: {} }],
    [
      "a clone of a snapshot into storage without a size",
      { source: { snapshot: { name: "a", namespace: "b" } }, storage: {} },
    ],
    ["a DataSource into storage without a size", { sourceRef: { kind: "DataSource", name: "golden" }, storage: {} }],
    [
      "external population by dataSource",
      { pvc: { ...pvc, dataSource: { kind: "PersistentVolumeClaim", name: "a" } } },
    ],
    [
      "external population by dataSourceRef",
      { storage: { ...sized("1Gi"), dataSourceRef: { apiGroup: "x.test", kind: "Thing", name: "a" } } },
    ],
  ])("%s", (_when, spec) => {
    expect(create(spec)).toEqual([]);
  });
});

describe("the claim", () => {
  const badMode = `Unsupported value: "ReadWriteMost": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"`;
  const pvcSize = "spec.PVC.resources.requests.size";
  const storageSize = "spec.Storage.resources.requests.size";
  test.each<[string, Fields, string, string]>([
    ["2: neither pvc nor storage", { source: { http } }, "Missing Data volume PVC", "spec.PVC"],
    [
      "3: both",
      { ...valid, storage: sized("1Gi") },
      "Duplicate storage definition, both target storage and target pvc defined",
      "spec.PVC.Storage",
    ],
    [
      "4: pvc of size zero",
      { ...valid, pvc: { ...pvc, ...sized("0") } },
      "PVC size can't be equal or less than zero",
      pvcSize,
    ],
    [
      "4: pvc of negative size",
      { ...valid, pvc: { ...pvc, ...sized("-1Gi") } },
      "PVC size can't be equal or less than zero",
      pvcSize,
    ],
    [
      "4: pvc of hugely negative size",
      { ...valid, pvc: { ...pvc, ...sized("-9Ei") } },
      "PVC size can't be equal or less than zero",
      pvcSize,
    ],
    [
      "4: storage of size zero",
      { source: { http }, storage: sized(0) },
      "Storage size can't be equal or less than zero",
      storageSize,
    ],
    [
      "5: pvc under 1 MiB",
      { ...valid, pvc: { ...pvc, ...sized("1023Ki") } },
      "PVC size should be at least 1MiB",
      pvcSize,
    ],
    [
      "5: storage under 1 MiB",
      { source: { http }, storage: sized("500m") },
      "Storage size should be at least 1MiB",
      storageSize,
    ],
    ["6: pvc without a size", { ...valid, pvc: { accessModes: ["ReadWriteOnce"] } }, "PVC size is missing", pvcSize],
    ["6: storage without a size", { source: { http }, storage: {} }, "Storage size is missing", storageSize],
    [
      "6: a clone into pvc without a size",
      { source: { pvc: { name: "a", namespace: "b" } }, pvc: { accessModes: ["ReadWriteOnce"] } },
      "PVC size is missing",
      pvcSize,
    ],
    [
      "7: a class name too long",
      { ...valid, pvc: { ...pvc, storageClassName: long } },
      "Name cannot be longer than 253 characters",
      "",
    ],
    [
      "8: pvc without access modes",
      { ...valid, pvc: sized("1Gi") },
      "Required value: at least 1 access mode is required",
      "spec.PVC.accessModes",
    ],
    [
      "9: pvc with several",
      { ...valid, pvc: { ...pvc, accessModes: ["ReadWriteOnce", "ReadWriteMany"] } },
      "PVC multiple accessModes",
      "spec.PVC.accessModes",
    ],
    [
      "10: pvc with an unknown one",
      { ...valid, pvc: { ...pvc, accessModes: ["ReadWriteMost"] } },
      badMode,
      "spec.PVC.accessModes",
    ],
    [
      "10: storage, the first is quoted though the second is bad",
      { source: { http }, storage: { ...sized("1Gi"), accessModes: ["ReadWriteOnce", "Bad"] } },
      badMode.replace("ReadWriteMost", "ReadWriteOnce"),
      "spec.PVC.accessModes",
    ],
  ])("%s", (_when, spec, message, field) => {
    expect(create(spec)).toEqual(said(message, field));
  });
});

describe("11: external population tells everything at once", () => {
  const ref = { kind: "Thing", apiGroup: "x.test", name: "a" };
  test.each<[string, Fields, string[]]>([
    [
      "with a source",
      { source: { http }, pvc: { ...pvc, dataSource: ref } },
      ["External population is incompatible with Source and SourceRef"],
    ],
    [
      "with both references",
      { pvc: { ...pvc, dataSource: ref, dataSourceRef: ref } },
      ["DataSourceRef and DataSource must match"],
    ],
    [
      "an empty dataSource",
      { pvc: { ...pvc, dataSource: { kind: "", name: "" } } },
      [
        "Required value: DataSource name",
        "Required value: DataSource kind",
        "Required value: DataSource apiGroup when kind is not 'PersistentVolumeClaim'",
      ],
    ],
    [
      "a dataSourceRef in another namespace",
      { storage: { ...sized("1Gi"), dataSourceRef: { ...ref, name: "", namespace: "b" } } },
      ["Required value: DataSourceRef name", "Invalid value: DataSourceRef namespace not supported"],
    ],
  ])("%s", (_when, spec, messages) => {
    expect(create(spec).map((cause) => cause.message)).toEqual(messages);
  });
});

describe("U1: the spec does not change", () => {
  const vddk = { url, secretRef: "s", uuid: "u", backingFile: "b", thumbprint: "t" };
  const stage = (current: string) => ({ ...withSource({ vddk }), checkpoints: [{ current, previous: "" }] });
  const refused = said("Cannot update DataVolume Spec", "DataVolume.Spec", "FieldValueDuplicate");
  test.each<[string, Fields, Fields, unknown[]]>([
    ["the same", valid, valid, []],
    ["a size spelled otherwise", valid, { ...valid, pvc: { ...pvc, ...sized("1024Mi") } }, []],
    ["an empty list for none", valid, { ...valid, checkpoints: [] }, []],
    ["another URL", valid, withSource({ http: { url: `${url}2` } }), refused],
    ["another size", valid, { ...valid, pvc: { ...pvc, ...sized("2Gi") } }, refused],
    ["blank for http", valid, withSource({ blank: {} }), refused],
    ["the next checkpoint of vddk", stage("1"), { ...stage("2"), finalCheckpoint: true }, []],
    [
      "the next checkpoint and another URL",
      stage("1"),
      { ...stage("2"), source: { vddk: { ...vddk, url: `${url}2` } } },
      refused,
    ],
    ["vddk checkpoints taken away", stage("1"), withSource({ vddk }), refused],
    ["checkpoints on http", valid, { ...valid, checkpoints: [{ current: "a", previous: "" }] }, refused],
  ])("%s", (_when, before, after, causes) => {
    const review = { operation: "UPDATE", object: aDataVolume(after), oldObject: aDataVolume(before) } as const;
    expect(checkDataVolume(review)).toEqual(causes);
  });

  test("metadata may change", () => {
    const object = aDataVolume(valid, { labels: { a: "b" } });
    expect(checkDataVolume({ operation: "UPDATE", object, oldObject: aDataVolume(valid) })).toEqual([]);
  });
});

describe("the name and the claim of that name", () => {
  const taken = said("Destination PVC default/disk already exists", "DataVolume.Name", "FieldValueDuplicate");
  const adopt = (text: string) => aDataVolume(valid, { annotations: { "cdi.kubevirt.io/allowClaimAdoption": text } });
  const owned = (kind: string) =>
    aClaim({ ownerReferences: [{ apiVersion: "x/v1", kind, name: "o", uid: "1", controller: true }] });
  const populated = (name: string) => aClaim({ annotations: { "cdi.kubevirt.io/storage.populatedFor": name } });

  test("1: a name too long", () => {
    const object = aDataVolume(valid, { name: long });
    expect(create(valid, { object })).toEqual(said("Name cannot be longer than 253 characters", ""));
  });

  test.each<[string, Partial<DataVolumeReview>, unknown[]]>([
    ["a claim is in the way", { claimOfSameName: aClaim() }, taken],
    ["its owner is a DataVolume", { claimOfSameName: owned("DataVolume") }, []],
    ["its owner is something else", { claimOfSameName: owned("Cat") }, taken],
    ["it is populated for this one", { claimOfSameName: populated("disk") }, []],
    ["it is populated for another", { claimOfSameName: populated("other") }, taken],
    ["adoption is asked for", { claimOfSameName: aClaim(), object: adopt("T") }, []],
    [
      "adoption is asked for in no Go bool",
      { claimOfSameName: aClaim(), object: adopt("yes"), adoptionGate: true },
      taken,
    ],
    ["the gate allows adoption", { claimOfSameName: aClaim(), adoptionGate: true }, []],
    [
      "the annotation forbids what the gate allows",
      { claimOfSameName: aClaim(), object: adopt("false"), adoptionGate: true },
      taken,
    ],
    [
      "on UPDATE the claim is not looked at",
      { claimOfSameName: aClaim(), operation: "UPDATE", oldObject: aDataVolume(valid) },
      [],
    ],
    ["on DELETE nothing is", { object: aDataVolume({}), operation: "DELETE" }, []],
  ])("C1: %s", (_when, more, causes) => {
    expect(create(valid, more)).toEqual(causes);
  });

  test("the first failing check is the only one told", () => {
    expect(create({}, { object: aDataVolume({}, { name: long }), claimOfSameName: aClaim() })).toHaveLength(1);
  });
});
