// What kubectl get prints: ages, JSONPath cells, status words.
import { describe, expect, test } from "vitest";
import { podColumns, podStatus } from "../../../../src/embedded/server/builtins/pod-columns.ts";
import { ageOf, humanDuration } from "../../../../src/embedded/server/human-age.ts";
import { compilePath } from "../../../../src/embedded/server/json-path.ts";

test.each([
  [0, "0s"],
  [119_000, "119s"],
  [120_000, "2m"],
  [130_000, "2m10s"],
  [10 * 60_000, "10m"],
  [179 * 60_000, "179m"],
  [3 * 3_600_000, "3h"],
  [3 * 3_600_000 + 60_000, "3h1m"],
  [47 * 3_600_000, "47h"],
  [48 * 3_600_000, "2d"],
  [49 * 3_600_000, "2d1h"],
  [100 * 86_400_000, "100d"],
  [800 * 86_400_000, "2y70d"],
  [-5000, "<invalid>"],
])("%d ms is %s", (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test("no time is unknown, nonsense invalid", () => {
  expect([ageOf(undefined, 0), ageOf("soon", 0), ageOf("2026-01-01T00:00:00Z", Date.UTC(2026, 0, 1, 0, 5))]).toEqual([
    "<unknown>",
    "<invalid>",
    "5m",
  ]);
});

describe("JSONPath", () => {
  const object = {
    metadata: { annotations: { "a.b/c": "dotted" } },
    status: {
      phase: "Ready",
      conditions: [
        { type: "Bound", status: "False" },
        { type: "Ready", status: "True" },
      ],
    },
  };
  test.each([
    [".status.phase", "Ready"],
    ["status.phase", "Ready"],
    ['.status.conditions[?(@.type=="Ready")].status', "True"],
    [".status.conditions[?(@.type=='None')].status", undefined],
    [".status.conditions[0].type", "Bound"],
    [".status.conditions[*].type", "Bound"],
    [".metadata.annotations['a.b/c']", "dotted"],
    [".metadata.annotations.a\\.b/c", "dotted"],
    [".nothing.here", undefined],
    [".broken[", undefined],
  ])("%s", (path, value) => {
    expect(compilePath(path)(object)).toBe(value);
  });
});

describe("pods", () => {
  const pod = (status: object, more: object = {}) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", ...more },
    spec: { containers: [{}, {}] },
    status,
  });
  const container = (state: object, ready = false) => ({ state, ready, restartCount: 0 });
  test.each([
    ["pending", pod({ phase: "Pending" }), "Pending"],
    [
      "waiting for its image",
      pod({ phase: "Pending", containerStatuses: [container({ waiting: { reason: "ErrImagePull" } })] }),
      "ErrImagePull",
    ],
    ["running", pod({ phase: "Running", containerStatuses: [container({ running: {} }, true)] }), "Running"],
    [
      "done",
      pod({ phase: "Succeeded", containerStatuses: [container({ terminated: { reason: "Completed", exitCode: 0 } })] }),
      "Completed",
    ],
    [
      "failed without a reason",
      pod({ phase: "Failed", containerStatuses: [container({ terminated: { exitCode: 3 } })] }),
      "ExitCode:3",
    ],
    ["being deleted", pod({ phase: "Running" }, { deletionTimestamp: "2026-01-01T00:00:00Z" }), "Terminating"],
  ])("%s", (_when, object, word) => {
    expect(podStatus(object)).toBe(word);
  });

  test("count what is ready, and say when it last restarted", () => {
    const object = pod({
      phase: "Running",
      containerStatuses: [
        {
          ready: true,
          restartCount: 2,
          state: { running: {} },
          lastState: { terminated: { finishedAt: "2026-01-01T00:00:00Z" } },
        },
        container({ running: {} }),
      ],
    });
    const cells = podColumns.map((column) => column.cell(object, Date.UTC(2026, 0, 1, 0, 0, 30)));
    expect(cells.slice(0, 4)).toEqual(["p", "1/2", "Running", "2 (30s ago)"]);
  });
});
