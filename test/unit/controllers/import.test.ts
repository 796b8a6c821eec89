import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { kinds } from "../../../src/api/kinds.ts";
import type { Pod } from "../../../src/api/core.ts";
import { decideImport, decidePodRefused } from "../../../src/controllers/import/decide.ts";
import { importerPodFor, scratchBytes } from "../../../src/controllers/import/objects.ts";
import type { ImportFacts } from "../../../src/controllers/import/observe.ts";
import { ourAnnotations } from "../../../src/controllers/parts/our-annotations.ts";
import { shownStep, type Step } from "../../../src/kube/index.ts";
import {
  aClaim,
  aConfig,
  aPod,
  claimUid,
  crashLoop,
  dataVolumeUid,
  isRunning,
  podUid,
  terminated,
  type ClaimParts,
} from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";

const options = { cdiNamespace: "cdi", importerImage: "importer:test", pullPolicy: "IfNotPresent", verbosity: 1 };
const facts = (parts: Partial<ImportFacts> & { claim?: ImportFacts["claim"] } = {}): ImportFacts => ({
  claim: aClaim(),
  users: [],
  config: aConfig(),
  overhead: "0.06",
  scratchOverhead: "0.06",
  delivering: false,
  ...parts,
});
const started: Record<string, string> = {
  [annotations.importPodName]: "importer-disk",
  [annotations.podPhase]: "Running",
};
const aStartedClaim = (parts: ClaimParts = {}) =>
  aClaim({ ...parts, annotations: { ...started, ...parts.annotations } });

/** The annotations a plan writes on the claim. */
function written(steps: readonly Step[]): Record<string, string | null> {
  const bodies = steps.flatMap((step) =>
    step.do === "patch" ? [step.body as { metadata?: { annotations?: Record<string, string> } }] : [],
  );
  return Object.assign({}, ...bodies.map((body) => body.metadata?.annotations ?? {})) as Record<string, string | null>;
}

const patch = "patch PersistentVolumeClaim default/disk";
const create = "create Pod default/importer-disk";
const remove = "delete Pod default/importer-disk";
const text404 = "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found";
const done = terminated(
  0,
  '{"preallocationApplied":true,"labels":{"app":"x","kubevirt.io/os":"linux"},"message":"Import Complete"}',
);

interface Row {
  when: string;
  seen: ImportFacts;
  steps: string[];
  says?: Record<string, string | null>;
}

const rows: Row[] = [
  {
    when: "a claim that is no import target",
    seen: facts({ claim: { ...aClaim(), metadata: { name: "disk", annotations: {} } } }),
    steps: [],
  },
  {
    when: "a source not handled yet",
    seen: facts({ claim: aClaim({ annotations: { [annotations.importSource]: "vddk" } }) }),
    steps: [],
  },
  {
    when: "a prime claim",
    seen: facts({ claim: aClaim({ annotations: { [annotations.populatorKind]: "VolumeImportSource" } }) }),
    steps: [],
  },
  {
    when: "nothing started",
    seen: facts(),
    steps: [patch, create],
    says: { [annotations.importPodName]: "importer-disk" },
  },
  {
    when: "unbound, gate off: the pod is the first consumer",
    seen: facts({ claim: aClaim({ phase: "Pending" }) }),
    steps: [patch, create],
  },
  {
    when: "unbound, gate on",
    seen: facts({ claim: aClaim({ phase: "Pending" }), config: aConfig({ gates: ["HonorWaitForFirstConsumer"] }) }),
    steps: [],
  },
  {
    when: "unbound, gate on, bind at once",
    seen: facts({
      claim: aClaim({ phase: "Pending", annotations: { [annotations.bindImmediate]: "" } }),
      config: aConfig({ gates: ["HonorWaitForFirstConsumer"] }),
    }),
    steps: [patch, create],
  },
  { when: "claim lost", seen: facts({ claim: aClaim({ phase: "Lost" }) }), steps: [] },
  { when: "claim used by others", seen: facts({ users: ["default/vm-1"] }), steps: ["tell Warning ImportTargetInUse"] },
  {
    when: "pod gone in the middle: the view must still be true",
    seen: facts({ claim: aStartedClaim() }),
    steps: [patch, create],
    says: {},
  },
  {
    when: "scratch was asked for",
    seen: facts({ claim: aStartedClaim({ annotations: { [annotations.importRequiresScratch]: "true" } }) }),
    steps: [patch, create],
    says: { [annotations.boundCondition]: "false", [annotations.boundConditionReason]: "CreatingScratchSpace" },
  },
  {
    when: "pod waits for its scratch",
    seen: facts({
      claim: aStartedClaim({ annotations: { [annotations.podPhase]: "Pending" } }),
      pod: aPod({ withScratch: true }),
    }),
    steps: ["create PersistentVolumeClaim default/disk-scratch"],
  },
  {
    when: "scratch is there",
    seen: facts({
      claim: aStartedClaim({
        annotations: {
          [annotations.podPhase]: "Pending",
          [annotations.importRequiresScratch]: "true",
          [annotations.boundCondition]: "false",
        },
      }),
      pod: aPod({ withScratch: true }),
      scratch: aClaim({
        name: "disk-scratch",
        metadata: {
          name: "disk-scratch",
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "importer-disk", uid: podUid }],
        },
      }),
    }),
    steps: [patch],
    says: { [annotations.importRequiresScratch]: "false", [annotations.boundCondition]: null },
  },
  {
    when: "scratch of an earlier pod",
    seen: facts({
      claim: aStartedClaim({ annotations: { [annotations.podPhase]: "Pending" } }),
      pod: aPod({ withScratch: true }),
      scratch: aClaim({ name: "disk-scratch" }),
    }),
    steps: ["delete PersistentVolumeClaim default/disk-scratch"],
  },
  {
    when: "pod pending",
    seen: facts({ claim: aClaim({ annotations: { [annotations.importPodName]: "importer-disk" } }), pod: aPod() }),
    steps: [patch],
    says: { [annotations.podPhase]: "Pending" },
  },
  {
    when: "pod unschedulable",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] }),
    }),
    steps: [patch],
    says: { [annotations.podSchedulable]: "false" },
  },
  {
    when: "pod running",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Running", state: isRunning }) }),
    steps: [patch],
    says: { [annotations.runningCondition]: "true", [annotations.runningConditionReason]: "Pod is running" },
  },
  {
    when: "pod running and all is said",
    seen: facts({
      claim: aStartedClaim({
        annotations: {
          [annotations.runningCondition]: "true",
          [annotations.runningConditionMessage]: "",
          [annotations.runningConditionReason]: "Pod is running",
        },
      }),
      pod: aPod({ phase: "Running", state: isRunning }),
    }),
    steps: [],
  },
  {
    when: "bytes came: remembered, and the old fault is over",
    seen: facts({
      claim: aStartedClaim({ annotations: { [ourAnnotations.importCode]: "SourceCut" } }),
      pod: aPod({ phase: "Running", state: isRunning }),
      delivering: true,
    }),
    steps: [patch],
    says: { [ourAnnotations.importDelivered]: "true", [ourAnnotations.importCode]: null },
  },
  {
    when: "restarts never decrease",
    seen: facts({
      claim: aStartedClaim({ annotations: { [annotations.podRestarts]: "3" } }),
      pod: aPod({ phase: "Running", state: isRunning, restarts: 1 }),
    }),
    steps: [patch],
    says: { [annotations.runningCondition]: "true" },
  },
  {
    when: "scratch wanted (exit 0 is no success)",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({
        phase: "Succeeded",
        state: terminated(0, '{"scratchSpaceRequired":true,"message":"Import Complete"}'),
      }),
    }),
    steps: [patch, remove],
    says: {
      [annotations.importRequiresScratch]: "true",
      [annotations.runningConditionReason]: "Scratch space required",
    },
  },
  {
    when: "scratch wanted by v1.56, seen late",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({
        phase: "Running",
        state: crashLoop,
        lastState: terminated(42, "scratch space required and none found"),
      }),
    }),
    steps: [patch, remove],
    says: { [annotations.importRequiresScratch]: "true" },
  },
  {
    when: "killed for memory",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Running", state: terminated(137, "", "OOMKilled") }) }),
    steps: [patch, remove],
    says: { [annotations.importRequiresDirectIo]: "true" },
  },
  {
    when: "done",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Succeeded", state: done }) }),
    steps: [patch, "tell Normal ImportSucceeded", remove],
    says: {
      [annotations.podPhase]: "Succeeded",
      [annotations.preallocation]: "true",
      [annotations.runningConditionMessage]: "Import Complete",
    },
  },
  {
    when: "the container is done before the node says the pod is",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Running", state: done }) }),
    steps: [patch, "tell Normal ImportSucceeded", remove],
    says: { [annotations.podPhase]: "Succeeded" },
  },
  {
    when: "done, pod kept",
    seen: facts({
      claim: aStartedClaim({ annotations: { [annotations.podRetainAfterCompletion]: "true" } }),
      pod: aPod({ phase: "Succeeded", state: done }),
    }),
    steps: [patch, "tell Normal ImportSucceeded"],
  },
  {
    when: "long done",
    seen: facts({ claim: aStartedClaim({ annotations: { [annotations.podPhase]: "Succeeded" } }) }),
    steps: [],
  },
  {
    when: "404 the first time",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Running", state: terminated(77, text404) }) }),
    steps: [patch, "tell Warning ErrImportFailed"],
    says: {
      [ourAnnotations.importCode]: "SourceNotFound",
      [ourAnnotations.importAttempt]: "1",
      [annotations.runningConditionReason]: "Error",
      [annotations.runningConditionMessage]: text404,
    },
  },
  {
    when: "404 from upstream's importer",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Running", state: terminated(1, text404) }) }),
    steps: [patch, "tell Warning ErrImportFailed"],
    says: { [ourAnnotations.importCode]: "SourceNotFound" },
  },
  {
    when: "404 the fifth time",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ phase: "Running", state: terminated(77, text404), restarts: 4 }),
    }),
    steps: [patch, "tell Warning ErrImportFailed", remove],
    says: {
      [annotations.importFatalError]: "true",
      [annotations.podPhase]: "Failed",
      [annotations.podRestarts]: "4",
      [annotations.runningCondition]: "false",
    },
  },
  {
    when: "404 the fifth time, but it was there before",
    seen: facts({
      claim: aStartedClaim({ annotations: { [ourAnnotations.importDelivered]: "true" } }),
      pod: aPod({ phase: "Running", state: terminated(77, text404), restarts: 4 }),
    }),
    steps: [patch, "tell Warning ErrImportFailed"],
  },
  {
    when: "404 the fifth time, for ever",
    seen: facts({
      claim: aStartedClaim({ annotations: { [annotations.importRetryForever]: "true" } }),
      pod: aPod({ phase: "Running", state: terminated(77, text404), restarts: 4 }),
    }),
    steps: [patch, "tell Warning ErrImportFailed"],
  },
  {
    when: "too small the first time",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({
        phase: "Running",
        state: terminated(67, "virtual image size 9 is larger than the reported available storage 1"),
      }),
    }),
    steps: [patch, "tell Warning ErrImportFailed"],
    says: {
      [annotations.runningConditionMessage]: "DataVolume too small to contain image",
      [annotations.podPhase]: "Running",
    },
  },
  {
    when: "too small again",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Running", state: terminated(67, "x"), restarts: 1 }) }),
    steps: [patch, "tell Warning ErrImportFailed", remove],
    says: { [annotations.podPhase]: "Failed" },
  },
  {
    when: "cut a hundred times",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ phase: "Running", state: terminated(86, "failed to pull image: cut"), restarts: 100 }),
    }),
    steps: [patch, "tell Warning ErrImportFailed"],
    says: { [annotations.runningConditionReason]: "ImagePullFailed" },
  },
  {
    when: "wrong checksum (exit 0)",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({
        phase: "Succeeded",
        state: terminated(0, '{"message":"checksum validation failed: checksum mismatch: expected a, calculated b"}'),
      }),
    }),
    steps: [patch, "tell Warning ErrImportFailed", remove],
    says: {
      [annotations.importFatalError]: "true",
      [annotations.runningConditionReason]: "ChecksumError",
      [annotations.podPhase]: "Failed",
    },
  },
  {
    when: "failed for good, pod still there",
    seen: facts({
      claim: aStartedClaim({
        annotations: { [annotations.importFatalError]: "true", [annotations.podPhase]: "Failed" },
      }),
      pod: aPod(),
    }),
    steps: [remove],
  },
  {
    when: "failed for good",
    seen: facts({ claim: aStartedClaim({ annotations: { [annotations.importFatalError]: "true" } }) }),
    steps: [],
  },
  {
    when: "failed, and asked to try again",
    seen: facts({
      claim: aStartedClaim({
        annotations: {
          [annotations.importFatalError]: "true",
          [annotations.importRetry]: "2",
          [ourAnnotations.importRetried]: "1",
        },
      }),
    }),
    steps: [patch],
    says: { [annotations.importFatalError]: null, [annotations.podPhase]: null, [ourAnnotations.importRetried]: "2" },
  },
  {
    when: "failed, and that wish was granted before",
    seen: facts({
      claim: aStartedClaim({
        annotations: {
          [annotations.importFatalError]: "true",
          [annotations.importRetry]: "1",
          [ourAnnotations.importRetried]: "1",
        },
      }),
    }),
    steps: [],
  },
  {
    when: "evicted long ago",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Failed", reason: "Evicted" }) }),
    steps: [patch, "tell Warning ErrImportFailed", remove],
    says: { [annotations.podPhase]: "Failed", [annotations.runningConditionReason]: "Evicted" },
  },
  {
    when: "claim being deleted",
    seen: facts({
      claim: aStartedClaim({
        metadata: {
          name: "disk",
          namespace: "default",
          uid: claimUid,
          annotations: { ...aStartedClaim().metadata.annotations },
          deletionTimestamp: "2026-01-02T03:00:00Z",
        },
      }),
      pod: aPod(),
    }),
    steps: [remove],
  },
  {
    when: "pod being deleted",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ metadata: { name: "importer-disk", deletionTimestamp: "2026-01-02T03:00:00Z" } }),
    }),
    steps: [],
  },
];

test.each(rows)("$when", ({ seen, steps, says }) => {
  const plan = decideImport(seen, options, noonMs);
  expect(plan.steps.map(shownStep)).toEqual(steps);
  if (says) expect(written(plan.steps)).toMatchObject(says);
  for (const step of plan.steps) {
    if (step.do === "patch") expect(step.resourceVersion).toBe("100");
    if (step.do === "delete") expect(step.uid).not.toBe("");
  }
});

test("a pod just evicted is left for a while", () => {
  const pod = aPod({
    phase: "Failed",
    reason: "Evicted",
    metadata: { name: "importer-disk", creationTimestamp: new Date(noonMs - 4000).toISOString() },
  });
  const plan = decideImport(facts({ claim: aStartedClaim(), pod }), options, noonMs);
  expect(plan.steps.map(shownStep)).not.toContain(remove);
  expect(plan.lookAgainInMs).toBe(6000);
});

test("labels of the termination message are added, never replaced", () => {
  const plan = decideImport(
    facts({ claim: aStartedClaim(), pod: aPod({ phase: "Succeeded", state: done }) }),
    options,
    noonMs,
  );
  const [first] = plan.steps;
  expect(first?.do === "patch" && first.body).toMatchObject({ metadata: { labels: { "kubevirt.io/os": "linux" } } });
  expect(JSON.stringify(first)).not.toContain('"app":"x"');
});

test.each([
  { message: "pods is forbidden: exceeded quota: small", reason: "ErrExceededQuota" },
  { message: "admission webhook denied the request", reason: "ErrStartingPod" },
])("a refused pod: $reason", ({ message, reason }) => {
  const plan = decidePodRefused(facts(), message);
  expect(plan.steps.map(shownStep)).toEqual([patch, `tell Warning ${reason}`]);
  expect(written(plan.steps)).toMatchObject({
    [annotations.podPhase]: "Failed",
    [annotations.runningConditionMessage]:
      "Error starting pod 'importer-disk': For more information, request access to cdi-deploy logs from your sysadmin",
  });
});

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
    expect(container?.volumeMounts).toEqual([]);
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
