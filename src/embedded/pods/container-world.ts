// What a container sees of its pod, and its voice.
import type { Log } from "../../lib/log.ts";
import type { Container, Pod } from "./pod-types.ts";
import type { PodVolumesMade } from "./pod-volumes.ts";
import type { ContainerFacts } from "./status.ts";
import type { World } from "./world.ts";

/** What a container needs of its pod. */
export interface ContainerWorld {
  world: World;
  uid: string;
  podIp: string;
  log: Log;
  /** Aborts when the pod is to end. */
  signal: AbortSignal;
  pod: () => Pod;
  /** Time between SIGTERM and SIGKILL once the signal has aborted, ms. */
  graceMs: () => number;
  /** Aborts when that time is cut short. */
  hurry: AbortSignal;
  /** Resolves when the present state is in the API. */
  publish: () => Promise<void>;
  /** Waits for the pod's volumes and turn. */
  enter: (facts: ContainerFacts) => Promise<PodVolumesMade>;
  leave: () => void;
  /** The pod's other containers wait for this one, and let other pods go first. */
  rest: () => void;
}

const fieldPath = ({ name }: Container): string => `spec.containers{${name}}`;
/** An event about the pod, pointing at the container. */
export function tell(
  { world, pod }: ContainerWorld,
  { container }: ContainerFacts,
  reason: string,
  message: string,
  type: "Normal" | "Warning" = "Normal",
): void {
  world.teller.tell(pod(), { type, reason, message, fieldPath: fieldPath(container) });
}
