// What the claim's running annotations say of an importer pod (interfaces/datavolume-lifecycle.md section 3).
import type { ContainerStatus, Pod } from "../../api/core.ts";
import { lastExit, messageOf, saysChecksumMismatch, saysScratchNeeded, simplified, statusOf } from "./fault-of-pod.ts";

export interface RunningFacts {
  running: boolean;
  message: string;
  reason: string;
}

export const scratchText = "scratch space required and none found";
export const scratchReason = "Scratch space required";
const pullFailures = ["ImagePullBackOff", "ErrImagePull", "InvalidImageName"];

const notThere = /(?:secret|configmap) "[^"]*" not found|couldn't find key|references non-existent config key/;

/**
 * What a container that has not started waits for, in the kubelet's words: a Secret or ConfigMap that is not there yet.
 * @param mountFailure text of the last FailedMount event about the pod
 */
export function waitsForObject(pod: Pod, mountFailure?: string): string | undefined {
  const waiting = statusOf(pod)?.state?.waiting;
  const isWaiting = ["ContainerCreating", "CreateContainerConfigError", "PodInitializing"].includes(
    waiting?.reason ?? "",
  );
  const text = waiting?.message || mountFailure;
  return isWaiting && text !== undefined && notThere.test(text) ? text : undefined;
}

/** @returns undefined when the pod tells nothing yet: what was said last stands */
export function runningOf(pod: Pod, mountFailure?: string): RunningFacts | undefined {
  const image = imageNotPulled(pod);
  if (image !== undefined)
    return { running: false, message: `failed to pull image: ${image}`, reason: "ImagePullFailed" };
  const status = statusOf(pod);
  if (!status) return undefined;
  const waiting = status.state?.waiting;
  const runs = status.state?.running !== undefined;
  if (runs || waiting?.reason === "PodInitializing") {
    const held = heldUp(pod, status);
    if (held) return held;
  }
  if (runs) return { running: true, message: "", reason: "Pod is running" };
  if (waiting && waiting.reason !== "CrashLoopBackOff") {
    const message = waitsForObject(pod, mountFailure) ?? simplified(waiting.message ?? "");
    return { running: false, message, reason: waiting.reason ?? "" };
  }
  return lastExit(pod) ? ended(pod) : undefined;
}

const statusesOf = ({ status }: Pod): ContainerStatus[] => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
];

/** @returns an image the node cannot pull, whichever container it is for */
export function imageNotPulled(pod: Pod): string | undefined {
  const status = statusesOf(pod).find(({ state }) => pullFailures.includes(state?.waiting?.reason ?? ""));
  if (!status) return undefined;
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return containers.find((one) => one.name === status.name)?.image ?? status.image ?? "";
}

/** A container that the one whose exit counts cannot do without: it has not started yet, or it fails. */
function heldUp(pod: Pod, own: ContainerStatus): RunningFacts | undefined {
  for (const { state, lastState, name } of statusesOf(pod)) {
    if (name === own.name) continue;
    const failed = state?.terminated ?? (state?.waiting ? lastState?.terminated : undefined);
    if (failed && failed.exitCode !== 0) {
      return { running: false, message: simplified(failed.message ?? ""), reason: failed.reason ?? "Error" };
    }
    const { reason = "", message = "" } = state?.waiting ?? {};
    if (reason !== "" && reason !== "PodInitializing") return { running: false, message: simplified(message), reason };
  }
  return undefined;
}

function ended(pod: Pod): RunningFacts | undefined {
  const exit = lastExit(pod);
  if (!exit) return undefined;
  if (saysScratchNeeded(exit)) return { running: false, message: scratchText, reason: scratchReason };
  const json = messageOf(exit);
  const message = json ? (json.message ?? "") : simplified(exit.message ?? "");
  if (saysChecksumMismatch(exit)) return { running: false, message, reason: "ChecksumError" };
  const reason = !json && message.includes("failed to pull image") ? "ImagePullFailed" : (exit.reason ?? "");
  return { running: false, message, reason };
}

/** True when the scheduler said that it finds no node. */
export const isUnschedulable = (pod: Pod): boolean =>
  (pod.status?.conditions ?? []).some(
    ({ type, status, reason }) => type === "PodScheduled" && status === "False" && reason === "Unschedulable",
  );
