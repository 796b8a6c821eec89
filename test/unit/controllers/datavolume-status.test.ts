import { describe, expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import type { Claim } from "../../../src/api/core.ts";
import type { DataVolumeStatus } from "../../../src/api/data-volume.ts";
import type { Condition } from "../../../src/api/meta.ts";
import { computeStatus, statusPatch } from "../../../src/controllers/datavolume/parts/status.ts";
import { ourAnnotations } from "../../../src/controllers/parts/our-annotations.ts";
import type { Reading } from "../../../src/controllers/parts/scrape.ts";
import type { Step } from "../../../src/kube/index.ts";
import { aClaim, aDataVolume } from "../../support/objects.ts";
import { noonMs } from "../../support/test-clock.ts";

const started = { [annotations.importPodName]: "importer-disk" };
const podIs = (phase: string, more: Record<string, string> = {}): Claim =>
  aClaim({ annotations: { ...started, [annotations.podPhase]: phase, ...more } });
const runningSays = (running: string, reason: string, message = "") => ({
  [annotations.runningCondition]: running,
  [annotations.runningConditionReason]: reason,
  [annotations.runningConditionMessage]: message,
});

function compute(parts: {
  claim?: Claim | undefined;
  status?: DataVolumeStatus;
  needsWork?: boolean;
  waits?: boolean;
  reading?: Reading | undefined;
}) {
  const dataVolume = aDataVolume(parts.status ? { status: parts.status } : {});
  const { claim, reading, needsWork = true, waits = false } = parts;
  return computeStatus({ dataVolume, claim, needsWork, waitsForConsumer: waits, reading }, noonMs);
}
const said = (conditions: readonly Condition[] | undefined, type: string) => {
  const found = conditions?.find((one) => one.type === type);
  return `${found?.status} ${found?.reason}/${found?.message}`;
};
const told = (events: readonly Step[]) =>
  events.map((step) => (step.do === "tell" ? `${step.type} ${step.reason} ${step.message}` : step.do));

describe("phase and conditions from the claim", () => {
  const bound = "True Bound/PVC disk Bound";
  const rows: {
    when: string;
    claim?: Claim;
    phase?: DataVolumeStatus["phase"];
    needsWork?: boolean;
    waits?: boolean;
    is: string;
    bound: string;
    ready?: string;
    running?: string;
  }[] = [
    { when: "no claim, new", is: "Pending", bound: "False NotFound/No PVC found" },
    {
      when: "no claim any more",
      phase: "Succeeded",
      is: "Succeeded",
      bound: "False NotFound/No PVC found",
      ready: "True /",
    },
    {
      when: "claim pending",
      claim: aClaim({ phase: "Pending" }),
      is: "Pending",
      bound: "False Pending/PVC disk Pending",
    },
    {
      when: "claim waits for a consumer",
      claim: aClaim({ phase: "Pending" }),
      waits: true,
      is: "WaitForFirstConsumer",
      bound: "False Pending/PVC disk Pending",
    },
    {
      when: "claim pending, filled already",
      claim: aClaim({ phase: "Pending" }),
      needsWork: false,
      is: "Succeeded",
      bound: "False Pending/PVC disk Pending",
      ready: "True /",
    },
    { when: "claim bound", claim: aClaim(), is: "PVCBound", bound },
    { when: "claim bound, filled already", claim: aClaim(), needsWork: false, is: "Succeeded", bound, ready: "True /" },
    { when: "claim lost", claim: aClaim({ phase: "Lost" }), is: "Failed", bound: "False ClaimLost/Claim Lost" },
    {
      when: "pod pending",
      claim: podIs("Pending", runningSays("false", "ContainerCreating")),
      is: "ImportScheduled",
      bound,
      running: "False ContainerCreating/",
    },
    {
      when: "pod running",
      claim: podIs("Running", runningSays("true", "Pod is running")),
      is: "ImportInProgress",
      bound,
      ready: "False TransferRunning/",
      running: "True Pod is running/",
    },
    {
      when: "pod stumbled",
      claim: podIs("Running", runningSays("false", "Error", "boom")),
      is: "ImportInProgress",
      bound,
      ready: "False /",
      running: "False Error/boom",
    },
    {
      when: "pod failed, not for good",
      claim: podIs("Failed", runningSays("false", "ErrStartingPod", "x")),
      is: "ImportScheduled",
      bound,
      running: "False ErrStartingPod/x",
    },
    {
      when: "pod failed for good",
      claim: podIs("Failed", { [annotations.importFatalError]: "true", ...runningSays("false", "Error", "x") }),
      is: "Failed",
      bound,
      running: "False Error/x",
    },
    {
      when: "pod done",
      claim: podIs("Succeeded", runningSays("false", "Completed", "Import Complete")),
      is: "Succeeded",
      bound,
      ready: "True /",
      running: "False Completed/Import Complete",
    },
    {
      when: "pod done before the claim is bound",
      claim: { ...podIs("Succeeded"), status: { phase: "Pending" } },
      is: "Succeeded",
      bound: "False Pending/PVC disk Pending",
      ready: "True /",
    },
    {
      when: "a new claim after success",
      claim: aClaim({ phase: "Pending" }),
      phase: "Succeeded",
      is: "Pending",
      bound: "False Pending/PVC disk Pending",
    },
    {
      when: "scratch is being made",
      claim: podIs("Pending", {
        [annotations.boundCondition]: "false",
        [annotations.boundConditionReason]: "CreatingScratchSpace",
        [annotations.boundConditionMessage]: "Creating scratch space",
      }),
      is: "ImportScheduled",
      bound: "False CreatingScratchSpace/Creating scratch space",
    },
    {
      when: "no node",
      claim: podIs("Pending", { [annotations.podSchedulable]: "false" }),
      is: "ImportScheduled",
      bound,
      running: "False Unschedulable/Importer pod cannot be scheduled",
    },
  ];
  test.each(rows)("$when", (row) => {
    const { status } = compute({
      claim: row.claim,
      ...(row.phase ? { status: { phase: row.phase } } : {}),
      needsWork: row.needsWork ?? true,
      waits: row.waits ?? false,
    });
    expect(status.phase).toBe(row.is);
    expect(said(status.conditions, "Bound")).toBe(row.bound);
    expect(said(status.conditions, "Ready")).toBe(row.ready ?? "False /");
    if (row.running) expect(said(status.conditions, "Running")).toBe(row.running);
    expect(status.conditions?.slice(0, 3).map((one) => one.type)).toEqual(["Bound", "Ready", "Running"]);
  });
});

describe("events", () => {
  test("a change of phase is told before the conditions, once", () => {
    const claim = podIs("Running", runningSays("true", "Pod is running"));
    const first = compute({ claim });
    expect(told(first.events)).toEqual([
      "Normal ImportInProgress Import into disk in progress",
      "Normal Bound PVC disk Bound",
    ]);
    expect(compute({ claim, status: first.status }).events).toEqual([]);
  });
  test("a fault is told in upstream's words, and once with code and remedy", () => {
    const claim = podIs("Running", {
      ...runningSays("false", "Error", "got 404"),
      [ourAnnotations.importCode]: "SourceNotFound",
      [ourAnnotations.importAttempt]: "1",
    });
    const before = compute({ claim: podIs("Running", runningSays("true", "Pod is running")) }).status;
    const { status, events } = compute({ claim, status: before });
    expect(told(events)).toEqual([
      "Warning Error got 404",
      "Warning SourceNotFound There is no such file on the server (404). Correct the URL.",
    ]);
    expect(said(status.conditions, "Stalled")).toMatch(/^True SourceNotFound\//);
    expect(said(status.conditions, "Reconciling")).toBe("True Importing/");
    expect(status.transfer).toEqual({ attempt: 1, code: "SourceNotFound", remedy: "Correct the URL." });
  });
  test("the scratch text is no warning", () => {
    const before = compute({ claim: podIs("Running", runningSays("true", "Pod is running")) }).status;
    const claim = podIs(
      "Running",
      runningSays("false", "Scratch space required", "scratch space required and none found"),
    );
    expect(compute({ claim, status: before }).events).toEqual([]);
  });
  test("messages hold no times, and times move only with what they are of", () => {
    const claim = podIs("Running", runningSays("true", "Pod is running"));
    const before = compute({ claim }).status;
    const later = computeStatus(
      {
        dataVolume: aDataVolume({ status: before }),
        claim,
        needsWork: true,
        waitsForConsumer: false,
        reading: undefined,
      },
      noonMs + 60_000,
    );
    expect(later.status).toEqual(before);
  });
});

describe("progress and transfer", () => {
  const mib = 2 ** 20;
  const claim = podIs("Running", runningSays("true", "Pod is running"));
  const reading: Reading = {
    percent: 27.154,
    bytesDone: 10.5 * mib,
    bytesTotal: 40 * mib,
    bytesPerSecond: 1_234_567,
    stage: "transferring",
    stageIndex: 0,
    stageCount: 2,
  };
  test("is rounded", () => {
    const { status } = compute({ claim, reading });
    expect(status.progress).toBe("27.15%");
    expect(status.transfer).toEqual({
      stage: "transferring",
      stageIndex: 1,
      stageCount: 2,
      bytesDone: 10 * mib,
      bytesTotal: 40 * mib,
      bytesPerSecond: 1_200_000,
      etaSeconds: 27,
      attempt: 1,
    });
  });
  test("nothing is written while nothing moved, though the rate wavers", () => {
    const first = compute({ claim, reading }).status;
    const next = compute({ claim, status: first, reading: { ...reading, bytesPerSecond: 900_000 } }).status;
    expect(statusPatch(first, next, new Set())).toBeUndefined();
  });
  test("where an earlier attempt was taken up is told", () => {
    const { status } = compute({ claim, reading: { ...reading, resumedFromBytes: 5 * mib } });
    expect(status.transfer).toMatchObject({ resumedFromBytes: 5 * mib });
    const over = compute({ claim, status, reading: { ...reading, resumedFromBytes: 0 } });
    expect(over.status.transfer).toMatchObject({ resumedFromBytes: 0 });
  });
  test("progress never falls, transfer tells what is begun anew", () => {
    const first = compute({ claim, reading: { ...reading, percent: 60 } }).status;
    const { status } = compute({ claim, status: first, reading: { ...reading, percent: 3.5, bytesDone: mib } });
    expect(status.progress).toBe("60.00%");
    expect(status.transfer?.bytesDone).toBe(mib);
    expect(compute({ claim, status, reading: { ...reading, percent: 61 } }).status.progress).toBe("61.00%");
  });
  test.each([
    { when: "the stage that failed", said: "converting", transfer: { stage: "converting" } },
    {
      when: "the same stage: how far it was",
      said: "transferring",
      transfer: { stage: "transferring", bytesDone: 10 * mib },
    },
    {
      when: "no word of it: where it was seen last",
      said: undefined,
      transfer: { stage: "transferring", bytesDone: 10 * mib },
    },
  ])("a failure tells $when", ({ said, transfer }) => {
    const before = compute({ claim, reading }).status;
    const failed = podIs("Running", {
      ...runningSays("false", "Error", "it broke"),
      [ourAnnotations.importCode]: "ConversionFailed",
      ...(said ? { [ourAnnotations.importStage]: said } : {}),
    });
    const { status } = compute({ claim: failed, status: before });
    expect(status.transfer).toMatchObject({ ...transfer, code: "ConversionFailed" });
    expect(status.transfer).not.toHaveProperty("bytesPerSecond");
    expect(status.transfer?.bytesDone).toBe("bytesDone" in transfer ? transfer.bytesDone : undefined);
  });
  test.each([
    { when: "100 is withheld until the end", percent: 100, is: "N/A" },
    { when: "a number", percent: 5, is: "5.00%" },
    { when: "nearly there", percent: 99.999, is: "N/A" },
  ])("$when", ({ percent, is }) => expect(compute({ claim, reading: { percent } }).status.progress).toBe(is));
  test("at the end all of it is there", () => {
    const before = compute({ claim, reading }).status;
    const { status } = compute({
      claim: podIs("Succeeded", runningSays("false", "Completed", "Import Complete")),
      status: before,
    });
    expect(status.progress).toBe("100.0%");
    expect(status.transfer).toEqual({
      stage: "transferring",
      stageIndex: 2,
      stageCount: 2,
      bytesDone: 40 * mib,
      bytesTotal: 40 * mib,
      attempt: 1,
    });
  });
  test("a new claim begins anew", () => {
    const before = { ...compute({ claim, reading }).status, restartCount: 4 };
    const { status } = compute({ claim: aClaim({ phase: "Pending" }), status: before });
    expect(status).toMatchObject({ progress: "N/A", phase: "Pending" });
    expect(status).not.toHaveProperty("transfer");
    expect(status).not.toHaveProperty("restartCount");
  });
  test("a dropped field alone is never written", () => {
    const before = compute({ claim }).status;
    const { transfer: _, observedGeneration: __, ...pruned } = before;
    expect(statusPatch(pruned, before, new Set(["transfer", "observedGeneration"]))).toBeUndefined();
    expect(statusPatch(pruned, before, new Set())).toEqual({ transfer: { attempt: 1 }, observedGeneration: 1 });
  });
});
