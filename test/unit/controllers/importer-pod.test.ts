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

  describe("for an image of a registry", () => {
    const image = (more: Record<string, string> = {}, insecureRegistries?: string[]) => {
      const claim = aClaim({
        annotations: {
          [annotations.importSource]: "registry",
          [annotations.importEndpoint]: "docker://registry.test:5000/vm/disk:1",
          ...more,
        },
      });
      const config = aConfig();
      const spec = { ...config.spec, ...(insecureRegistries ? { insecureRegistries } : {}) };
      return importerPodFor({ claim, config: { ...config, spec }, overhead: "0.06", withScratch: false, options });
    };

    test("speaks the current contract", () => {
      expect(envOf(image())).toMatchObject({
        IMPORTER_SOURCE: "registry",
        IMPORTER_ENDPOINT: "docker://registry.test:5000/vm/disk:1",
        IMPORTER_CONTENTTYPE: "kubevirt",
        INSECURE_TLS: "false",
        IMPORTER_PULL_METHOD: "",
        IMPORTER_REGISTRY_IMAGE_ARCHITECTURE: "",
      });
      for (const name of ["IMPORTER_ACCESS_KEY_ID", "IMPORTER_SECRET_KEY", "IMPORTER_CERT_DIR"])
        expect(envOf(image())).not.toHaveProperty(name);
    });

    test.each([
      { when: "exactly this host and port are listed", list: ["registry.test:5000"], insecure: "true" },
      { when: "the host alone is listed", list: ["registry.test"], insecure: "false" },
      { when: "another port is listed", list: ["registry.test:5001"], insecure: "false" },
      { when: "nothing is listed", list: [], insecure: "false" },
    ])("$when: INSECURE_TLS is $insecure", ({ list, insecure }) => {
      expect(envOf(image({}, list))).toMatchObject({ INSECURE_TLS: insecure });
    });

    test("an archive file is never insecure, whatever is listed", () => {
      const pod = image({ [annotations.importEndpoint]: "oci-archive:/x/registry.test:5000" }, ["registry.test:5000"]);
      expect(envOf(pod)).toMatchObject({ INSECURE_TLS: "false" });
    });

    test("a secret is of upstream's shape or a docker config: each key is taken where it is there", () => {
      const key = (name: string) => ({ secretKeyRef: { name: "login", key: name, optional: true } });
      const env = envOf(image({ [annotations.importSecretName]: "login" }));
      expect(env).toMatchObject({
        IMPORTER_ACCESS_KEY_ID: key("accessKeyId"),
        IMPORTER_SECRET_KEY: key("secretKey"),
      });
      expect(Object.values(env)).toContainEqual(key(".dockerconfigjson"));
    });

    test("an architecture and authorities are handed on", () => {
      const pod = image({
        [annotations.registryImageArchitecture]: "arm64",
        [annotations.importCertConfigMap]: "ca",
      });
      expect(envOf(pod)).toMatchObject({ IMPORTER_REGISTRY_IMAGE_ARCHITECTURE: "arm64", IMPORTER_CERT_DIR: "/certs" });
      expect(pod.spec.volumes).toContainEqual({ name: "cdi-cert-vol", configMap: { name: "ca" } });
    });
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
