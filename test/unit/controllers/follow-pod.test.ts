import { expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { decideImport } from "../../../src/controllers/import/decide.ts";
import { ourAnnotations } from "../../../src/controllers/parts/our-annotations.ts";
import { shownStep } from "../../../src/kube/index.ts";
import { aClaim, aPod, crashLoop, isRunning, terminated } from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";
import { aStartedClaim, facts, judge, options, patch, remove, written, type Row } from "./import-rows.ts";

const text404 = "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found";
const done = terminated(
  0,
  '{"preallocationApplied":true,"labels":{"app":"x","kubevirt.io/os":"linux"},"message":"Import Complete"}',
);

const rows: Row[] = [
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
    when: "the container waits for a Secret: the kubelet's words, and a code",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ state: { waiting: { reason: "CreateContainerConfigError", message: 'secret "login" not found' } } }),
    }),
    steps: [patch],
    says: {
      [annotations.runningConditionReason]: "CreateContainerConfigError",
      [annotations.runningConditionMessage]: 'secret "login" not found',
      [ourAnnotations.importCode]: "ObjectMissing",
    },
  },
  {
    when: "the pod waits for a ConfigMap to mount: an event says which",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ state: { waiting: { reason: "ContainerCreating" } } }),
      mountFailure: 'MountVolume.SetUp failed for volume "cdi-cert-vol" : configmap "ca" not found',
    }),
    steps: [patch],
    says: {
      [annotations.runningConditionReason]: "ContainerCreating",
      [annotations.runningConditionMessage]:
        'MountVolume.SetUp failed for volume "cdi-cert-vol" : configmap "ca" not found',
      [ourAnnotations.importCode]: "ObjectMissing",
    },
  },
  {
    when: "another trouble with mounting is the kubelet's own",
    seen: facts({
      claim: aClaim({ annotations: { [annotations.importPodName]: "importer-disk" } }),
      pod: aPod({ state: { waiting: { reason: "ContainerCreating" } } }),
      mountFailure: "Unable to attach or mount volumes: timed out waiting for the condition",
    }),
    steps: [patch],
    says: { [annotations.runningConditionMessage]: "" },
  },
  {
    when: "what was missing is there: the code goes",
    seen: facts({
      claim: aStartedClaim({ annotations: { [ourAnnotations.importCode]: "ObjectMissing" } }),
      pod: aPod({ phase: "Running", state: isRunning }),
    }),
    steps: [patch],
    says: { [ourAnnotations.importCode]: null },
  },
  {
    when: "the quota let the pod in: the code goes",
    seen: facts({
      claim: aStartedClaim({
        annotations: {
          [ourAnnotations.importCode]: "QuotaExceeded",
          [annotations.runningConditionReason]: "ErrExceededQuota",
        },
      }),
      pod: aPod({ state: { waiting: { reason: "ContainerCreating" } } }),
    }),
    steps: [patch],
    says: { [ourAnnotations.importCode]: null },
  },
  {
    when: "done, though a tool of it was killed for want of memory",
    seen: facts({
      claim: aStartedClaim(),
      pod: aPod({ phase: "Succeeded", state: terminated(0, '{"message":"Import Complete"}', "OOMKilled") }),
    }),
    steps: [patch, "tell Normal ImportSucceeded", remove],
    says: { [annotations.podPhase]: "Succeeded" },
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
    says: { [annotations.importRequiresDirectIo]: "true", [ourAnnotations.importCode]: "MemoryExceeded" },
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
    when: "evicted long ago",
    seen: facts({ claim: aStartedClaim(), pod: aPod({ phase: "Failed", reason: "Evicted" }) }),
    steps: [patch, "tell Warning ErrImportFailed", remove],
    says: { [annotations.podPhase]: "Failed", [annotations.runningConditionReason]: "Evicted" },
  },
];

test.each(rows)("$when", judge);

test("restarts never decrease", () => {
  const claim = aStartedClaim({ annotations: { [annotations.podRestarts]: "3" } });
  const plan = decideImport(
    facts({ claim, pod: aPod({ phase: "Running", state: isRunning, restarts: 1 }) }),
    options,
    noonMs,
  );
  expect(written(plan.steps)).not.toHaveProperty([annotations.podRestarts]);
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
