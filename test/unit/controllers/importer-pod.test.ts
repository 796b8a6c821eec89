import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { kinds } from "../../../src/api/kinds.ts";
import type { Pod } from "../../../src/api/core.ts";
import { importerPodFor } from "../../../src/controllers/import/objects.ts";
import { scratchBytes } from "../../../src/controllers/parts/scratch.ts";
import { aClaim, aConfig, claimUid, dataVolumeUid, type ClaimParts } from "../../support/objects.ts";
import { options } from "./import-rows.ts";

describe("the importer pod", () => {
  const podOf = (parts: ClaimParts = {}, withScratch = false): Pod =>
    importerPodFor({ claim: aClaim(parts), config: aConfig(), overhead: "0.06", withScratch, options });
  const envOf = (pod: Pod) =>
    Object.fromEntries((pod.spec.containers[0]?.env ?? []).map((one) => [one.name, one.value ?? one.valueFrom]));

  test("speaks the current contract", () => {
    const pod = podOf();
    expect(envOf(pod)).toMatchObject({
      IMPORTER_SOURCE: "http",
      IMPORTER_ENDPOINT: "http://images.test/disk.qcow2",
      IMPORTER_CONTENTTYPE: "kubevirt",
      IMPORTER_IMAGE_SIZE: "1138166334",
      OWNER_UID: dataVolumeUid,
      FILESYSTEM_OVERHEAD: "0.06",
      INSECURE_TLS: "false",
      PREALLOCATION: "false",
      CACHE_MODE: "",
      IMPORTER_CHECKSUM: "",
    });
    expect(pod.spec).toMatchObject({
      restartPolicy: "OnFailure",
      enableServiceLinks: false,
      securityContext: { fsGroup: 107 },
    });
    expect(pod.spec.containers[0]).toMatchObject({
      args: ["-v=1"],
      resources: { limits: { cpu: "750m", memory: "600M" }, requests: { cpu: "100m", memory: "60M" } },
      securityContext: {
        runAsUser: 107,
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
      },
      volumeMounts: [{ name: "cdi-data-vol", mountPath: "/data" }],
      terminationMessagePolicy: "FallbackToLogsOnError",
    });
    expect(pod.metadata.labels).toMatchObject({
      "cdi.kubevirt.io": "importer",
      "prometheus.cdi.kubevirt.io": "true",
      app: "containerized-data-importer",
    });
    expect(pod.metadata.annotations).toEqual({
      [annotations.createdByController]: "yes",
      [annotations.istioInject]: "false",
      [annotations.linkerdInject]: "disabled",
    });
    expect(pod.metadata.ownerReferences).toMatchObject([{ kind: kinds.claim.kind, uid: claimUid, controller: true }]);
  });

  test("gets a device for a block claim", () => {
    const container = podOf({ spec: { volumeMode: "Block" } }).spec.containers[0];
    expect(container?.volumeDevices).toEqual([{ name: "cdi-data-vol", devicePath: "/dev/cdi-block-volume" }]);
    // And a place beside it for how far the import came.
    expect(container?.volumeMounts).toEqual([{ name: "cdi-checkpoint-vol", mountPath: "/checkpoint" }]);
  });

  test("gets credentials, certificates, headers and the format by reference and by number", () => {
    const pod = podOf({
      annotations: {
        [annotations.importSecretName]: "keys",
        [annotations.importCertConfigMap]: "ca",
        [annotations.importFormat]: "raw",
        [annotations.importChecksum]: "sha256:00",
        "cdi.kubevirt.io/storage.import.extraHeaders.0": "X-A: 1",
        "cdi.kubevirt.io/storage.import.extraHeaders.10": "X-C: 3",
        "cdi.kubevirt.io/storage.import.extraHeaders.2": "X-B: 2",
        "cdi.kubevirt.io/storage.import.secretExtraHeaders.0": "hidden",
      },
    });
    expect(envOf(pod)).toMatchObject({
      IMPORTER_ACCESS_KEY_ID: { secretKeyRef: { name: "keys", key: "accessKeyId" } },
      IMPORTER_SECRET_KEY: { secretKeyRef: { name: "keys", key: "secretKey" } },
      IMPORTER_CERT_DIR: "/certs",
      CDI_IMPORT_FORMAT: "raw",
      IMPORTER_CHECKSUM: "sha256:00",
      IMPORTER_EXTRA_HEADER_0: "X-A: 1",
      IMPORTER_EXTRA_HEADER_1: "X-B: 2",
      IMPORTER_EXTRA_HEADER_2: "X-C: 3",
    });
    expect(pod.spec.volumes).toEqual(
      expect.arrayContaining([
        { name: "cdi-cert-vol", configMap: { name: "ca" } },
        { name: "cdi-secret-extra-headers-vol-0", secret: { secretName: "hidden" } },
      ]),
    );
  });

  test("names no key and no format nobody gave", () => {
    for (const name of ["IMPORTER_ACCESS_KEY_ID", "IMPORTER_CERT_DIR", "CDI_IMPORT_FORMAT"])
      expect(envOf(podOf())).not.toHaveProperty(name);
  });

  test("scratch space holds what the target can", () => {
    const claim = aClaim({ spec: { resources: { requests: { storage: "1Gi" } } } });
    const mib = 2 ** 20;
    expect(scratchBytes(claim, "0.06", "0.06")).toBe(Math.ceil((966 * mib * 1.06) / mib) * mib);
    expect(scratchBytes(claim, "0", "0")).toBe(2 ** 30);
  });
});
