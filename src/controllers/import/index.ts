// The pod side of an import, keyed by claim: makes the importer pod and its scratch space, mirrors the pod on the claim.
// Works for a claim of a DataVolume and for a bare claim that bears import annotations alike.
import type { DataVolume } from "../../api/data-volume.ts";
import { keyOf } from "../../api/meta.ts";
import type { Controller } from "../../kube/index.ts";
import type { ControllerOptions } from "../options.ts";
import { claimOfEvent, claimsOfPod, claimsOfPodEvent, scratchTargetOf } from "../parts/claim-keys.ts";
import { unboundClaims, type World } from "../world.ts";
import { decideRefused } from "../parts/refused.ts";
import { decideImport } from "./decide.ts";
import { observeImport } from "./observe.ts";
import type { ProgressWatch } from "./progress.ts";

export function claimImportController(world: World, progress: ProgressWatch, options: ControllerOptions): Controller {
  return {
    name: "import",
    watches: [
      { cache: world.claims, toKeys: (claim) => [keyOf(claim), ...scratchTargetOf(world, claim)] },
      { cache: world.pods, toKeys: claimsOfPod },
      { cache: world.claimEvents, toKeys: claimOfEvent },
      { cache: world.mountEvents, toKeys: (event) => claimsOfPodEvent(world, event) },
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
    async refused(key, refused) {
      const seen = await observeImport(world, progress, key, options);
      return seen && decideRefused(seen.claim, refused);
    },
  };
}
