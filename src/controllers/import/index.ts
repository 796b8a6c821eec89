// The pod side of an import, keyed by claim: makes the importer pod and its scratch space, mirrors the pod on the claim.
// Works for a claim of a DataVolume and for a bare claim that bears import annotations alike.
import type { KubeEvent } from "../../api/core.ts";
import type { DataVolume } from "../../api/data-volume.ts";
import { keyOf, type Key, type KubeObject } from "../../api/meta.ts";
import type { Controller } from "../../kube/index.ts";
import type { ControllerOptions } from "../options.ts";
import { claimsOf, controllerOf, isImporterPod, unboundClaims, type World } from "../world.ts";
import { decideImport, decidePodRefused } from "./decide.ts";
import { observeImport } from "./observe.ts";
import type { ProgressWatch } from "./progress.ts";

export function claimImportController(world: World, progress: ProgressWatch, options: ControllerOptions): Controller {
  return {
    name: "import",
    watches: [
      { cache: world.claims, toKeys: (claim) => [keyIn(claim, claim.metadata.name), ...scratchTargetOf(world, claim)] },
      { cache: world.pods, toKeys: claimsOfPod },
      {
        cache: world.claimEvents,
        toKeys: ({ involvedObject }) => [about(involvedObject as KubeEvent["involvedObject"])],
      },
      { cache: world.mountEvents, toKeys: ({ involvedObject }) => claimsOfNamedPod(world, involvedObject) },
      // A claim made anew may be seen before its DataVolume, which was Succeeded, takes that back.
      {
        cache: world.dataVolumes,
        toKeys: (one) => ((one as DataVolume).status?.phase === "Succeeded" ? [keyOf(one)] : []),
      },
      // The gate HonorWaitForFirstConsumer decides whether a claim is waited for.
      { cache: world.cdiConfigs, toKeys: () => unboundClaims(world) },
    ],
    async reconcile(key) {
      return decideImport(await observeImport(world, progress, key, options), options, world.clock.now());
    },
    async refused(key, { step, refusal }) {
      if (step.do !== "create" || step.kind.kind !== "Pod") return undefined;
      const seen = await observeImport(world, progress, key, options);
      return seen ? decidePodRefused(seen, refusal.message) : undefined;
    },
  };
}

function keyIn(object: KubeObject, name: string | undefined): Key {
  const { namespace } = object.metadata;
  return { name: name ?? "", ...(namespace === undefined ? {} : { namespace }) };
}

const about = ({ name = "", namespace = "" }: KubeEvent["involvedObject"]): Key => ({ name, namespace });

/** A pod matters to the claim that controls it and to those it mounts. */
function claimsOfPod(pod: KubeObject): Key[] {
  const owner = isImporterPod(pod) ? controllerOf(pod) : undefined;
  const mounted = claimsOf(pod).map((id) => keyIn(pod, id.slice(id.indexOf("/") + 1)));
  return owner?.kind === "PersistentVolumeClaim" ? [keyIn(pod, owner.name), ...mounted] : mounted;
}

function claimsOfNamedPod(world: World, involvedObject: unknown): Key[] {
  const pod = world.pods.get(about(involvedObject as KubeEvent["involvedObject"]));
  return pod ? claimsOfPod(pod) : [];
}

/** A scratch claim belongs to a pod, and the pod to the claim that is imported into. */
function scratchTargetOf(world: World, claim: KubeObject): Key[] {
  const owner = controllerOf(claim);
  if (owner?.kind !== "Pod") return [];
  const pod = world.pods.get(keyIn(claim, owner.name));
  return pod ? claimsOfPod(pod) : [];
}
