import { expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { kinds } from "../../../src/api/kinds.ts";
import { keyOf, type KindRef } from "../../../src/api/meta.ts";
import { claimOfEvent } from "../../../src/controllers/parts/claim-keys.ts";
import { ourAnnotations } from "../../../src/controllers/parts/our-annotations.ts";
import { decideRefused } from "../../../src/controllers/parts/refused.ts";
import { eventComponent } from "../../../src/controllers/world.ts";
import { eventFor } from "../../../src/kube/events.ts";
import { KubeError, shownStep, type Plan } from "../../../src/kube/index.ts";
import { about, aClaim, aConfig, aPod, claimUid, podUid } from "../../support/objects.ts";
import { aStartedClaim, create, facts, judge, patch, remove, written, type Row } from "./import-rows.ts";

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
  {
    when: "unbound, gate on, the binder has spoken",
    seen: facts({
      claim: aClaim({ phase: "Pending" }),
      config: aConfig({ gates: ["HonorWaitForFirstConsumer"] }),
      events: [about("waiting for first consumer to be created before binding")],
    }),
    steps: [patch],
    says: {
      [annotations.boundCondition]: "false",
      [annotations.boundConditionReason]: "Pending",
      [annotations.boundConditionMessage]: "waiting for first consumer to be created before binding",
    },
  },
  {
    when: "bound: the mirror is wiped",
    seen: facts({
      claim: aStartedClaim({
        annotations: { [annotations.boundCondition]: "false", [annotations.boundConditionReason]: "Pending" },
      }),
      pod: aPod({ phase: "Running", state: { running: {} } }),
    }),
    steps: [patch, patch],
    says: { [annotations.boundCondition]: null, [annotations.boundConditionReason]: null },
  },
  {
    when: "filled once, and its annotations are lost",
    seen: facts({ claim: aClaim(), filled: true }),
    steps: [],
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

test.each(rows)("$when", judge);

function refusedTo(kind: KindRef, message: string): Plan | undefined {
  const object = {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name: kind.kind === "Pod" ? "importer-disk" : "one" },
  };
  const refusal = new KubeError(403, "Forbidden", message);
  return decideRefused(facts().claim, { step: { do: "create", kind, object }, refusal });
}

test.each([
  { message: "pods is forbidden: exceeded quota: small", reason: "ErrExceededQuota" },
  { message: "admission webhook denied the request", reason: "ErrStartingPod" },
])("a refused pod: $reason", ({ message, reason }) => {
  const plan = refusedTo(kinds.pod, message) as Plan;
  expect(plan.steps.map(shownStep)).toEqual([patch, `tell Warning ${reason}`]);
  expect(written(plan.steps)).toMatchObject({
    [annotations.podPhase]: "Failed",
    [annotations.runningConditionMessage]:
      "Error starting pod 'importer-disk': For more information, request access to cdi-deploy logs from your sysadmin",
  });
});

test.each([
  { message: "claims is forbidden: exceeded quota: small", reason: "ErrExceededQuota", code: "QuotaExceeded" },
  { message: "admission webhook denied the request", reason: "ErrClaimNotValid", code: undefined },
])("refused scratch space: $reason, and the pod's state is left as it is", ({ message, reason, code }) => {
  const plan = refusedTo(kinds.claim, message) as Plan;
  expect(plan.steps.map(shownStep)).toEqual([patch, `tell Warning ${reason}`]);
  expect(written(plan.steps)).toEqual({
    [annotations.boundCondition]: "false",
    [annotations.boundConditionMessage]: `Error creating scratch space: ${message}`,
    [annotations.boundConditionReason]: reason,
    ...(code ? { [ourAnnotations.importCode]: code } : {}),
  });
  expect(plan.lookAgainInMs).toBe(10_000);
});

test("what else a pod needs and does not get is told", () => {
  const plan = refusedTo(kinds.configMap, "exceeded quota: small") as Plan;
  expect(plan.steps.map(shownStep)).toEqual([patch, "tell Warning ErrExceededQuota"]);
  expect(plan.steps.at(-1)).toMatchObject({ message: "Error creating ConfigMap 'one': exceeded quota: small" });
  expect(written(plan.steps)).toEqual({ [ourAnnotations.importCode]: "QuotaExceeded" });
});

test("a refused change is an error", () => {
  const step = { do: "patch", ref: { kind: kinds.claim, name: "disk" }, body: {} } as const;
  const refusal = new KubeError(403, "Forbidden", "exceeded quota");
  expect(decideRefused(facts().claim, { step, refusal })).toBeUndefined();
});

test("our own events about a claim bring no run: telling of a refusal would bring the next at once", () => {
  const telling = { about: facts().claim, type: "Warning", reason: "ErrExceededQuota", message: "too many" } as const;
  const keysOf = (component: string) => claimOfEvent(eventFor(telling, component, 0));
  expect([keysOf(eventComponent), keysOf("persistentvolume-controller")]).toEqual([[], [keyOf(facts().claim)]]);
});
