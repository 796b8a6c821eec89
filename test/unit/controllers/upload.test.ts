// The pod side of an upload: what is made, what is mirrored, when a server is renewed and when all is taken down.
import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { Pod, TerminatedState } from "../../../src/api/core.ts";
import { kinds } from "../../../src/api/kinds.ts";
import { decideUpload } from "../../../src/controllers/upload/decide.ts";
import { uploadPodFor, uploadServiceFor } from "../../../src/controllers/upload/objects.ts";
import type { UploadFacts } from "../../../src/controllers/upload/observe.ts";
import { uploadServiceName } from "../../../src/contract/names.ts";
import { uploadEnv } from "../../../src/contract/upload-env.ts";
import { shownStep } from "../../../src/kube/index.ts";
import { aClaim, aConfig, claimUid, type ClaimParts } from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";
import { written } from "./import-rows.ts";

const options = {
  cdiNamespace: "cdi",
  importerImage: "importer:test",
  uploadServerImage: "server:test",
  pullPolicy: "IfNotPresent",
  verbosity: 1,
};
const target = (parts: ClaimParts = {}) =>
  aClaim({ ...parts, annotations: { [annotations.uploadTarget]: "", ...parts.annotations } });
const running = { [annotations.uploadPodName]: "cdi-upload-disk", [annotations.podPhase]: "Running" };
const facts = (parts: Partial<UploadFacts> = {}): UploadFacts => ({
  claim: target(),
  services: [],
  users: [],
  config: aConfig(),
  overhead: "0.06",
  scratchOverhead: "0.06",
  events: [],
  filled: false,
  ...parts,
});
const service = uploadServiceFor(target(), options);
const aPod = (status: Pod["status"], withScratch = false): Pod => {
  const made = uploadPodFor({
    claim: target(),
    config: aConfig(),
    overhead: "0.06",
    withScratch,
    options,
    deadlineMs: noonMs,
  });
  const metadata = { ...made.metadata, uid: "pod-uid", creationTimestamp: "2026-01-02T03:00:00Z" };
  return { ...made, metadata, ...(status ? { status } : {}) };
};
const withState = (ready: boolean, restartCount = 0): Pod =>
  aPod({
    phase: "Running",
    containerStatuses: [{ name: "cdi-upload-server", ready, restartCount, state: { running: {} } }],
  });
const ended = (exit: Partial<TerminatedState>, phase: "Running" | "Succeeded" = "Succeeded"): Pod =>
  aPod({
    phase,
    containerStatuses: [
      {
        name: "cdi-upload-server",
        ready: false,
        restartCount: 0,
        state: { terminated: { exitCode: 0, reason: "Completed", ...exit } },
      },
    ],
  });

const patch = "patch PersistentVolumeClaim default/disk";
const makesService = "create Service default/cdi-upload-disk";
const makesPod = "create Pod default/cdi-upload-disk";
const dropsPod = "delete Pod default/cdi-upload-disk";
const dropsService = "delete Service default/cdi-upload-disk";
const done = { [annotations.podPhase]: "Succeeded" };

test.each<{ when: string; seen: UploadFacts | undefined; steps: string[]; says?: Record<string, string | null> }>([
  { when: "no claim", seen: undefined, steps: [] },
  { when: "no target", seen: facts({ claim: aClaim() }), steps: [] },
  {
    when: "bound, nothing there yet",
    seen: facts(),
    steps: [patch, makesService, makesPod],
    says: {
      [annotations.uploadPodName]: "cdi-upload-disk",
      [annotations.podReady]: "false",
      [annotations.boundConditionReason]: "CreatingScratchSpace",
    },
  },
  {
    when: "pending, the gate off",
    seen: facts({ claim: target({ phase: "Pending" }) }),
    steps: [patch, makesService, makesPod],
  },
  {
    when: "pending, the gate on",
    seen: facts({
      claim: target({ phase: "Pending" }),
      config: aConfig({ gates: ["HonorWaitForFirstConsumer"] }),
    }),
    steps: [],
  },
  {
    when: "pending, the gate on, asked to bind at once",
    seen: facts({
      claim: target({ phase: "Pending", annotations: { [annotations.bindImmediate]: "" } }),
      config: aConfig({ gates: ["HonorWaitForFirstConsumer"] }),
    }),
    steps: [patch, makesService, makesPod],
  },
  {
    when: "bound, for an archive",
    seen: facts({ claim: target({ annotations: { [annotations.contentType]: "archive" } }) }),
    steps: [patch, makesService, makesPod],
    says: { [annotations.podReady]: "false" },
  },
  {
    when: "in use by another pod",
    seen: facts({ users: ["default/vm"] }),
    steps: ["tell Warning UploadTargetInUse"],
  },
  {
    when: "the server runs, not ready",
    seen: facts({ claim: target({ annotations: running }), pod: withState(false), services: [service] }),
    steps: [patch],
    says: { [annotations.podReady]: "false", [annotations.runningCondition]: "true" },
  },
  {
    when: "the server is ready",
    seen: facts({ claim: target({ annotations: running }), pod: withState(true), services: [service] }),
    steps: [patch],
    says: { [annotations.podReady]: "true", [annotations.runningConditionReason]: "Pod is running" },
  },
  {
    when: "the server is ready that a quota had kept away",
    seen: facts({
      claim: target({ annotations: { ...running, "cdi.kubevirt.io/storage.import.code": "QuotaExceeded" } }),
      pod: withState(true),
      services: [service],
    }),
    steps: [patch],
    says: { [annotations.podReady]: "true", "cdi.kubevirt.io/storage.import.code": null },
  },
  {
    when: "its service was deleted",
    seen: facts({ claim: target({ annotations: running }), pod: withState(true) }),
    steps: [makesService, patch],
  },
  {
    when: "the server failed and is restarted",
    seen: facts({
      claim: target({ annotations: running }),
      pod: ended({ exitCode: 1, reason: "Error", message: "Saving stream failed: no space left on device" }, "Running"),
      services: [service],
    }),
    steps: [patch],
    says: {
      [annotations.podReady]: "false",
      [annotations.runningConditionMessage]: "DataVolume too small to contain image",
      "cdi.kubevirt.io/storage.import.code": "TargetFull",
    },
  },
  {
    when: "the upload is done",
    seen: facts({
      claim: target({ annotations: running }),
      pod: ended({ message: '{"message":"Upload Complete","preallocationApplied":true}' }),
      services: [service],
    }),
    steps: [patch, "tell Normal UploadSucceeded"],
    says: { ...done, [annotations.podReady]: "false", [annotations.preallocation]: "true" },
  },
  {
    when: "its deadline has passed",
    seen: facts({
      claim: target({ annotations: { ...running, [annotations.podReady]: "true" } }),
      pod: ended({ message: '{"deadlinePassed":true,"message":"Deadline Passed"}' }),
      services: [service],
    }),
    steps: [patch, dropsPod],
    says: { [annotations.podPhase]: "", [annotations.podReady]: "false" },
  },
  {
    when: "it asks for scratch space",
    seen: facts({
      claim: target({ annotations: running }),
      pod: ended({ message: '{"scratchSpaceRequired":true}' }),
      services: [service],
    }),
    steps: [patch, dropsPod],
    says: { [annotations.importRequiresScratch]: "true" },
  },
  {
    when: "with scratch space to be made",
    seen: facts({
      claim: target({ annotations: { ...running, [annotations.importRequiresScratch]: "true" } }),
      pod: aPod({ phase: "Pending" }, true),
      services: [service],
    }),
    steps: [patch, "create PersistentVolumeClaim default/disk-scratch"],
  },
  {
    when: "evicted long ago",
    seen: facts({
      claim: target({ annotations: running }),
      pod: aPod({ phase: "Failed", reason: "Evicted", message: "the node was low on memory" }),
      services: [service],
    }),
    steps: [patch, dropsPod],
    says: { [annotations.runningConditionReason]: "Evicted" },
  },
  {
    when: "done, all is taken down",
    seen: facts({ claim: target({ annotations: done }), pod: ended({}), services: [service] }),
    steps: [dropsService, dropsPod],
  },
  {
    when: "done, and to be kept",
    seen: facts({
      claim: target({ annotations: { ...done, [annotations.podRetainAfterCompletion]: "true" } }),
      pod: ended({}),
      services: [service],
    }),
    steps: [],
  },
  { when: "done, nothing left", seen: facts({ claim: target({ annotations: done }) }), steps: [] },
  {
    when: "no longer a target",
    seen: facts({ claim: aClaim(), pod: withState(true), services: [service] }),
    steps: [dropsService, dropsPod],
  },
  {
    when: "the claim is being deleted",
    seen: facts({
      claim: target({ metadata: { deletionTimestamp: "2026-01-02T03:00:00Z" } }),
      pod: withState(true),
      services: [service],
    }),
    steps: [dropsService, dropsPod],
  },
  { when: "filled before", seen: facts({ filled: true }), steps: [] },
])("$when", ({ seen, steps, says }) => {
  const plan = decideUpload(seen, options, noonMs);
  expect(plan.steps.map(shownStep)).toEqual(steps);
  if (says) expect(written(plan.steps)).toMatchObject(says);
});

test("a claim cannot be the target of an upload and of a clone", () => {
  const claim = target({ annotations: { [annotations.cloneRequest]: "a/b" } });
  expect(() => decideUpload(facts({ claim }), options, noonMs)).toThrow(/upload and of a clone/);
});

describe("the objects", () => {
  const podOf = (parts: ClaimParts = {}): Pod =>
    uploadPodFor({
      claim: target(parts),
      config: aConfig(),
      overhead: "0.06",
      withScratch: false,
      options,
      deadlineMs: noonMs,
    });
  const envOf = (pod: Pod) =>
    Object.fromEntries(pod.spec.containers[0]?.env?.map(({ name, value }) => [name, value]) ?? []);

  test("a pod has upstream's labels, owner, probe, mounts and environment", () => {
    const pod = podOf();
    expect(pod.metadata.labels).toMatchObject({
      app: "containerized-data-importer",
      "cdi.kubevirt.io": "cdi-upload-server",
      service: "cdi-upload-disk",
      "cdi.kubevirt.io/uploadTarget": claimUid,
    });
    expect(pod.metadata.annotations).toMatchObject({
      "cdi.kubevirt.io/storage.createdByUploadController": "yes",
      "k8s.ovn.org/open-default-ports": '[{"protocol":"tcp","port":8443}]',
      "sidecar.istio.io/inject": "false",
    });
    expect(pod.metadata.ownerReferences).toMatchObject([{ kind: kinds.claim.kind, name: "disk", controller: true }]);
    expect(pod.spec.containers[0]).toMatchObject({
      name: "cdi-upload-server",
      image: "server:test",
      readinessProbe: {
        httpGet: { path: "/healthz", port: 8443, scheme: "HTTPS" },
        initialDelaySeconds: 2,
        periodSeconds: 5,
      },
      volumeMounts: [
        { name: "cdi-data-vol", mountPath: "/data" },
        { name: "tls-config", mountPath: "/etc/tls" },
      ],
    });
    expect(pod.spec.containers[0]).not.toHaveProperty("ports");
    expect(envOf(pod)).toEqual({
      TLS_KEY_FILE: "/etc/tls/tls.key",
      TLS_CERT_FILE: "/etc/tls/tls.crt",
      CLIENT_CERT_FILE: "/etc/tls/ca.crt",
      FILESYSTEM_OVERHEAD: "0.06",
      UPLOAD_IMAGE_SIZE: expect.any(String) as string,
      CLIENT_NAME: "client.upload-server.cdi.kubevirt.io",
      PREALLOCATION: "false",
      TLS_CIPHERS: expect.stringMatching(/^TLS_AES_128_GCM_SHA256,.*,DHE-RSA-AES256-GCM-SHA384$/) as string,
      TLS_MIN_VERSION: "VersionTLS12",
      DEADLINE: "2026-01-02T03:04:05Z",
    });
    expect(uploadEnv.read(envOf(pod)).clientName).toBe("client.upload-server.cdi.kubevirt.io");
  });

  test("a block volume is a device, named as the destination", () => {
    const pod = podOf({ spec: { volumeMode: "Block" } });
    expect(pod.spec.containers[0]?.volumeDevices).toEqual([
      { name: "cdi-data-vol", devicePath: "/dev/cdi-block-volume" },
    ]);
    expect(envOf(pod)["DESTINATION"]).toBe("/dev/cdi-block-volume");
    expect(pod.spec.volumes).toContainEqual({ name: "cdi-checkpoint-vol", emptyDir: { sizeLimit: "64Mi" } });
  });

  test("a service is headless, on the server's own port", () =>
    expect(service["spec"]).toEqual({
      clusterIP: "None",
      ports: [{ protocol: "TCP", port: 8443, targetPort: 8443 }],
      selector: { service: "cdi-upload-disk" },
    }));

  test("a service's name is a DNS label", () => {
    expect(uploadServiceName("a.b")).toBe("cdi-upload-a-b");
    const long = uploadServiceName("x".repeat(80));
    expect(long).toMatch(/^cdi-upload-x+-[0-9a-f]{8}-cdi$/);
    expect(long.length).toBe(63);
  });
});
