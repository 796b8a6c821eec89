// A pod's status from its containers' states. Pure; the rules are the kubelet's (pkg/kubelet: getPhase, status generation).
import type { Condition } from "../../api/meta.ts";
import { stamp } from "../../lib/clock.ts";
import type { Container, ContainerState, ContainerStatus, Pod, PodPhase, PodStatus } from "./pod-types.ts";

/** What is known of one container; the worker changes it in place as things happen. */
export interface ContainerFacts {
  readonly container: Container;
  restartCount: number;
  state: ContainerState;
  lastState: ContainerState;
  containerId?: string;
  /** host/repository@digest, of an image that was pulled. */
  imageId?: string;
  /** What its readiness probe says; absent where there is none. */
  probed?: boolean;
  /** When it ended last, ms: the API's times are whole seconds. */
  endedMs?: number;
}

export interface PodFacts {
  readonly pod: Pod;
  readonly init: readonly ContainerFacts[];
  readonly main: readonly ContainerFacts[];
  podIp?: string;
  startTime: string;
}

export const creating = { waiting: { reason: "ContainerCreating" } };
export const initializing = { waiting: { reason: "PodInitializing" } };

export function phaseOf({ pod, init, main }: Pick<PodFacts, "pod" | "init" | "main">): PodPhase {
  const restartPolicy = pod.spec.restartPolicy ?? "Always";
  const failedInit = init.some(({ state }) => state.terminated && state.terminated.exitCode !== 0);
  if (failedInit && restartPolicy === "Never") return "Failed";
  if (!isInitialized(init)) return "Pending";
  const neverRan = main.some(({ state, lastState }) => state.waiting && !lastState.terminated);
  if (neverRan) return "Pending";
  if (main.some(({ state }) => state.running)) return "Running";
  const exits = main.map(({ state, lastState }) => (state.terminated ?? lastState.terminated)?.exitCode);
  const ended = main.every(({ state }) => state.terminated);
  if (!ended || restartPolicy === "Always") return "Running";
  if (exits.every((exit) => exit === 0)) return "Succeeded";
  return restartPolicy === "Never" ? "Failed" : "Running";
}

const isInitialized = (init: readonly ContainerFacts[]): boolean =>
  init.every(({ state }) => state.terminated?.exitCode === 0);

/** @param before conditions written last: a transition time moves only when the status moves */
export function statusOf(
  facts: PodFacts,
  before: readonly Condition[],
  nowMs: number,
  phase = phaseOf(facts),
): PodStatus {
  const { podIp } = facts;
  return {
    phase,
    conditions: conditionsOf(facts, phase, before, nowMs),
    hostIP: "127.0.0.1",
    hostIPs: [{ ip: "127.0.0.1" }],
    ...(podIp ? { podIP: podIp, podIPs: [{ ip: podIp }] } : {}),
    startTime: facts.startTime,
    ...(facts.init.length > 0 ? { initContainerStatuses: facts.init.map((one) => containerStatus(one, true)) } : {}),
    containerStatuses: facts.main.map((one) => containerStatus(one, false)),
  };
}

const isReady = ({ state, probed }: Pick<ContainerFacts, "state" | "probed">): boolean =>
  state.running !== undefined && probed !== false;

function containerStatus({ container, ...facts }: ContainerFacts, isInit: boolean): ContainerStatus {
  const { running, terminated } = facts.state;
  return {
    name: container.name,
    image: container.image,
    imageID: facts.imageId ?? (facts.containerId ? container.image : ""),
    ready: isInit ? terminated?.exitCode === 0 : isReady(facts),
    started: running !== undefined,
    restartCount: facts.restartCount,
    ...(facts.containerId ? { containerID: facts.containerId } : {}),
    state: facts.state,
    lastState: facts.lastState,
  };
}

function conditionsOf(facts: PodFacts, phase: PodPhase, before: readonly Condition[], nowMs: number): Condition[] {
  const done = phase === "Succeeded" ? { reason: "PodCompleted" } : undefined;
  const uninitialized = facts.init.filter(({ state }) => state.terminated?.exitCode !== 0);
  const unready = facts.main.filter((one) => !isReady(one));
  const names = (some: readonly ContainerFacts[]): string => some.map(({ container }) => container.name).join(" ");
  const ready = (type: string): Omit<Condition, "lastTransitionTime"> => {
    if (done) return { type, status: "False", ...done };
    if (phase === "Failed") return { type, status: "False", reason: "PodFailed" };
    if (unready.length === 0) return { type, status: "True" };
    const message = `containers with unready status: [${names(unready)}]`;
    return { type, status: "False", reason: "ContainersNotReady", message };
  };
  const initialized: Omit<Condition, "lastTransitionTime"> =
    uninitialized.length === 0
      ? { type: "Initialized", status: "True", ...done }
      : {
          type: "Initialized",
          status: "False",
          reason: "ContainersNotInitialized",
          message: `containers with incomplete status: [${names(uninitialized)}]`,
        };
  const scheduled: Omit<Condition, "lastTransitionTime"> = { type: "PodScheduled", status: "True" };
  return [initialized, ready("Ready"), ready("ContainersReady"), scheduled].map((condition) => {
    const former = before.find(({ type }) => type === condition.type);
    const sameSince = former?.status === condition.status ? former.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: sameSince ?? stamp(nowMs) };
  });
}
