// From what changed to the claims it matters to.
import type { KubeEvent, Pod } from "../../api/core.ts";
import type { Key, KubeObject } from "../../api/meta.ts";
import { claimsOf, controllerOf, isOwnEvent, isWorkerPod, type World } from "../world.ts";
import { ourAnnotations } from "./our-annotations.ts";
import { dataVolume } from "./worker-pod.ts";

function keyIn(object: KubeObject, name: string | undefined): Key {
  const { namespace } = object.metadata;
  return { name: name ?? "", ...(namespace === undefined ? {} : { namespace }) };
}

function about({ involvedObject }: KubeObject): Key {
  const { name = "", namespace = "" } = involvedObject as KubeEvent["involvedObject"];
  return { name, namespace };
}

/** The claim an event is about. What our own events say is done already, and saying it again must not bring the next run. */
export const claimOfEvent = (event: KubeObject): Key[] => (isOwnEvent(event) ? [] : [about(event)]);

/** A pod matters to the claim it fills and to those it mounts. */
export function claimsOfPod(pod: KubeObject): Key[] {
  const filled = isWorkerPod(pod) ? claimFilledBy(pod) : undefined;
  const mounted = claimsOf(pod).map((id) => keyIn(pod, id.slice(id.indexOf("/") + 1)));
  return filled ? [filled, ...mounted] : mounted;
}

/** The claim that owns a worker pod; of one that nobody owns the claim it writes to. */
export function claimFilledBy(pod: KubeObject): Key | undefined {
  const owner = controllerOf(pod);
  if (owner) return owner.kind === "PersistentVolumeClaim" ? keyIn(pod, owner.name) : undefined;
  if (pod.metadata.annotations?.[ourAnnotations.claimUid] === undefined) return undefined;
  const target = (pod as Pod).spec.volumes?.find((one) => one.name === dataVolume)?.persistentVolumeClaim;
  return target && keyIn(pod, target.claimName);
}

/** The claims of the pod an event is about. */
export function claimsOfPodEvent(world: World, event: KubeObject): Key[] {
  const pod = world.pods.get(about(event));
  return pod ? claimsOfPod(pod) : [];
}

/** A scratch claim belongs to a pod, and the pod to the claim that is filled. */
export function scratchTargetOf(world: World, claim: KubeObject): Key[] {
  const owner = controllerOf(claim);
  if (owner?.kind !== "Pod") return [];
  const pod = world.pods.get(keyIn(claim, owner.name));
  return pod ? claimsOfPod(pod) : [];
}
