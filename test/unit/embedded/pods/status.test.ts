// Phase, conditions and container statuses from the containers' states.
import { describe, expect, test } from "vitest";
import { phaseOf, statusOf, type ContainerFacts } from "../../../../src/embedded/pods/status.ts";
import type { ContainerState, Pod, PodSpec } from "../../../../src/embedded/pods/pod-types.ts";

const noon = Date.UTC(2026, 0, 1, 12);
const waiting: ContainerState = { waiting: { reason: "ContainerCreating" } };
const running: ContainerState = { running: { startedAt: "2026-01-01T12:00:00Z" } };
const initializing: ContainerState = { waiting: { reason: "PodInitializing" } };
const pulling: ContainerState = { waiting: { reason: "ImagePullBackOff" } };
const both = [running, running];
const exited = (exitCode: number): ContainerState => ({
  terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", finishedAt: "2026-01-01T12:00:00Z" },
});
const facts = (name: string, state: ContainerState, lastState: ContainerState = {}): ContainerFacts => ({
  container: { name, image: "sh" },
  restartCount: 0,
  state,
  lastState,
});
const aPod = (restartPolicy: NonNullable<PodSpec["restartPolicy"]>): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "default", uid: "u" },
  spec: { restartPolicy, containers: [{ name: "main", image: "sh" }] },
});

test.each([
  { when: "nothing has started", policy: "OnFailure", main: [waiting], phase: "Pending" },
  { when: "it runs", policy: "OnFailure", main: [running], phase: "Running" },
  { when: "one of two has not started", policy: "OnFailure", main: [running, waiting], phase: "Pending" },
  { when: "it ended well", policy: "OnFailure", main: [exited(0)], phase: "Succeeded" },
  { when: "it failed and will restart", policy: "OnFailure", main: [exited(1)], phase: "Running" },
  { when: "it failed and will not", policy: "Never", main: [exited(1)], phase: "Failed" },
  { when: "it ended well and will restart anyway", policy: "Always", main: [exited(0)], phase: "Running" },
  { when: "one runs on", policy: "Never", main: [exited(0), running], phase: "Running" },
  { when: "an init container runs", policy: "OnFailure", init: [running], main: [waiting], phase: "Pending" },
  { when: "an init container failed for good", policy: "Never", init: [exited(1)], main: [waiting], phase: "Failed" },
  {
    when: "the second init container waits",
    policy: "OnFailure",
    init: [exited(0), initializing],
    main: [initializing],
    phase: "Pending",
  },
  {
    when: "all init containers are done",
    policy: "OnFailure",
    init: [exited(0)],
    main: [initializing, initializing],
    phase: "Pending",
  },
  { when: "both run behind an init container", policy: "OnFailure", init: [exited(0)], main: both, phase: "Running" },
  { when: "one pulls its image, one runs", policy: "OnFailure", main: [running, pulling], phase: "Pending" },
  { when: "one failed for good, one runs", policy: "Never", main: [exited(1), running], phase: "Running" },
  { when: "one of two failed for good", policy: "Never", main: [exited(0), exited(1)], phase: "Failed" },
  { when: "one of two will restart", policy: "OnFailure", main: [exited(0), exited(1)], phase: "Running" },
  { when: "both ended well", policy: "OnFailure", main: [exited(0), exited(0)], phase: "Succeeded" },
  {
    when: "an init container is tried again",
    policy: "OnFailure",
    init: [exited(1)],
    main: [waiting],
    phase: "Pending",
  },
] as const)("$when: $phase", ({ policy, main, phase, ...row }) => {
  const init = "init" in row ? row.init : [];
  const about = {
    pod: aPod(policy),
    init: init.map((state, index) => facts(`i${index}`, state)),
    main: main.map((state, index) => facts(`m${index}`, state)),
  };
  expect(phaseOf(about)).toBe(phase);
});

test("a container in back-off keeps its pod Running, an init container in back-off keeps it Pending", () => {
  const backoff = facts("main", { waiting: { reason: "CrashLoopBackOff" } }, exited(1));
  const ended = facts("other", exited(0));
  expect(phaseOf({ pod: aPod("OnFailure"), init: [], main: [backoff] })).toBe("Running");
  expect(phaseOf({ pod: aPod("OnFailure"), init: [], main: [ended, backoff] })).toBe("Running");
  expect(phaseOf({ pod: aPod("OnFailure"), init: [backoff], main: [facts("main", initializing)] })).toBe("Pending");
});

test("a pod of an init container and two more: statuses and conditions", () => {
  const about = { pod: aPod("OnFailure"), startTime: "2026-01-01T11:59:00Z" };
  const before = statusOf(
    {
      ...about,
      init: [facts("init", running)],
      main: [facts("importer", initializing), facts("server", initializing)],
    },
    [],
    noon,
  );
  expect(before.initContainerStatuses).toMatchObject([{ name: "init", ready: false, started: true }]);
  expect(before.containerStatuses?.map(({ name, state }) => `${name} ${state.waiting?.reason}`)).toEqual([
    "importer PodInitializing",
    "server PodInitializing",
  ]);
  expect(before.conditions?.slice(0, 2)).toMatchObject([
    { reason: "ContainersNotInitialized", message: "containers with incomplete status: [init]" },
    { reason: "ContainersNotReady", message: "containers with unready status: [importer server]" },
  ]);
  const after = statusOf(
    { ...about, init: [facts("init", exited(0))], main: [facts("importer", exited(0)), facts("server", running)] },
    [],
    noon,
  );
  expect(after.initContainerStatuses).toMatchObject([{ name: "init", ready: true, started: false }]);
  expect(after.conditions?.slice(0, 2)).toMatchObject([
    { type: "Initialized", status: "True" },
    { type: "Ready", status: "False", message: "containers with unready status: [importer]" },
  ]);
});

describe("conditions", () => {
  const about = { pod: aPod("OnFailure"), init: [], startTime: "2026-01-01T11:59:00Z", podIp: "127.64.0.1" };
  const shown = (state: ContainerState) =>
    statusOf({ ...about, main: [facts("main", state)] }, [], noon).conditions?.map(
      ({ type, status, reason = "", message = "" }) => `${type} ${status} ${reason} ${message}`.trimEnd(),
    );

  test("while it waits", () => {
    expect(shown(waiting)).toEqual([
      "Initialized True",
      "Ready False ContainersNotReady containers with unready status: [main]",
      "ContainersReady False ContainersNotReady containers with unready status: [main]",
      "PodScheduled True",
    ]);
  });
  test("while it runs", () => {
    expect(shown(running)).toEqual(["Initialized True", "Ready True", "ContainersReady True", "PodScheduled True"]);
  });
  test("when it is done", () => {
    expect(shown(exited(0))).toEqual([
      "Initialized True PodCompleted",
      "Ready False PodCompleted",
      "ContainersReady False PodCompleted",
      "PodScheduled True",
    ]);
  });
  test("a transition time moves only with its status", () => {
    const first = statusOf({ ...about, main: [facts("main", waiting)] }, [], noon);
    const then = statusOf({ ...about, main: [facts("main", running)] }, first.conditions ?? [], noon + 60_000);
    expect(then.conditions?.map(({ type, lastTransitionTime }) => `${type} ${lastTransitionTime}`)).toEqual([
      "Initialized 2026-01-01T12:00:00Z",
      "Ready 2026-01-01T12:01:00Z",
      "ContainersReady 2026-01-01T12:01:00Z",
      "PodScheduled 2026-01-01T12:00:00Z",
    ]);
  });
});
