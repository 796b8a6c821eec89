import { describe, expect, test } from "vitest";
import {
  changedConditions,
  conditionKind,
  conditionOf,
  isTrue,
  mirroredCondition,
  saysTheSame,
} from "../../../src/api/conditions.ts";
import type { Condition } from "../../../src/api/meta.ts";

const bound = conditionKind("Bound", ["Bound", "Pending", "NotFound"]);
const noon = Date.UTC(2026, 0, 1, 12, 0, 0);
const later = noon + 60_000;
const noonText = "2026-01-01T12:00:00Z";
const laterText = "2026-01-01T12:01:00Z";

const pending: Condition = {
  type: "Bound",
  status: "False",
  reason: "Pending",
  message: "PVC disk Pending",
  lastTransitionTime: noonText,
  lastHeartbeatTime: noonText,
};

describe("setting a condition", () => {
  test.each([
    {
      when: "there is none yet",
      before: [],
      now: noon,
      set: ["False", "Pending", "PVC disk Pending"],
      times: [noonText, noonText],
    },
    {
      when: "nothing changes",
      before: [pending],
      now: later,
      set: ["False", "Pending", "PVC disk Pending"],
      times: [noonText, noonText],
    },
    {
      when: "the status moves",
      before: [pending],
      now: later,
      set: ["True", "Bound", "PVC disk Bound"],
      times: [laterText, laterText],
    },
    {
      when: "only the reason changes",
      before: [pending],
      now: later,
      set: ["False", "NotFound", "PVC disk Pending"],
      times: [noonText, laterText],
    },
    {
      when: "only the message changes",
      before: [pending],
      now: later,
      set: ["False", "Pending", "No PVC found"],
      times: [noonText, laterText],
    },
  ] as const)("$when", ({ before, now, set: [status, reason, message], times }) => {
    const [condition, ...others] = bound(status, reason, message, now)(before);
    expect(others).toEqual([]);
    expect(condition).toEqual({
      type: "Bound",
      status,
      reason,
      message,
      lastTransitionTime: times[0],
      lastHeartbeatTime: times[1],
    });
  });

  test("keeps the place and content of its neighbours, and the list handed in", () => {
    const ready: Condition = { type: "Ready", status: "False" };
    const before = [ready, pending];
    const after = bound("True", "Bound", "PVC disk Bound", later)(before);
    expect(after.map((condition) => condition.type)).toEqual(["Ready", "Bound"]);
    expect(after[0]).toBe(ready);
    expect(before[1]).toBe(pending);
  });

  test("a condition without times, as written by others, gets them at its first change", () => {
    const bare: Condition = { type: "Bound", status: "False" };
    const [condition] = bound("False", "NotFound", "No PVC found", noon)([bare]);
    expect(condition).toMatchObject({ lastTransitionTime: noonText, lastHeartbeatTime: noonText });
  });

  test("a mirrored condition takes any reason", () => {
    const [condition] = mirroredCondition("Bound")("False", "ProvisioningFailed", "no space", noon)([]);
    expect(condition?.reason).toBe("ProvisioningFailed");
  });
});

describe("comparing", () => {
  test("times do not count, and an absent text equals an empty one", () => {
    expect(
      saysTheSame(
        { type: "Ready", status: "True", reason: "" },
        { type: "Ready", status: "True", lastHeartbeatTime: noonText },
      ),
    ).toBe(true);
    expect(saysTheSame({ type: "Ready", status: "True" }, { type: "Ready", status: "False" })).toBe(false);
  });

  test("the changed types are told, sorted, with those that came and went", () => {
    const ready: Condition = { type: "Ready", status: "False" };
    const running: Condition = { type: "Running", status: "False" };
    const moved: Condition = { ...pending, status: "True" };
    expect(changedConditions([pending, running], [ready, moved])).toEqual(["Bound", "Ready", "Running"]);
    expect(changedConditions([pending], [{ ...pending, lastHeartbeatTime: laterText }])).toEqual([]);
    expect(changedConditions(undefined, undefined)).toEqual([]);
  });

  test("looking one up", () => {
    expect(conditionOf([pending], "Bound")).toBe(pending);
    expect(conditionOf(undefined, "Bound")).toBeUndefined();
    expect(isTrue([pending], "Bound")).toBe(false);
    expect(isTrue([{ type: "Ready", status: "True" }], "Ready")).toBe(true);
  });
});
