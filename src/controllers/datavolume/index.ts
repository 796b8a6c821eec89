// What DataVolumes are filled by, keyed by DataVolume: makes the claim and keeps the status true.
import type { DataVolume } from "../../api/data-volume.ts";
import { keyOf, type Key, type KubeObject } from "../../api/meta.ts";
import type { Controller } from "../../kube/index.ts";
import type { Log } from "../../lib/log.ts";
import type { ProgressWatch } from "../import/progress.ts";
import type { ControllerOptions } from "../options.ts";
import { controllerOf, indexNames, unboundClaims, type World } from "../world.ts";
import { decideClaimRefused, decideDataVolume, type DecideOptions } from "./parts/decide.ts";
import { observeDataVolume } from "./parts/observe.ts";
import { flowOf } from "./flows.ts";
import { additions, type Addition } from "./parts/status.ts";

export function dataVolumeController(world: World, progress: ProgressWatch, options: ControllerOptions): Controller {
  const dropped = new Set<Addition>();
  const leftAlone = new Set<string>();
  const decideOptions = (): DecideOptions => ({ controller: options, dropped, nowMs: world.clock.now() });
  return {
    name: "datavolume",
    watches: [
      { cache: world.dataVolumes, toKeys: (one) => [keyOf(one)] },
      { cache: world.claims, toKeys: dataVolumesOf },
      // A DataVolume whose claim could not be rendered is tried again when what it is rendered from changes.
      ...[world.storageClasses, world.storageProfiles, world.volumes].map((cache) => ({
        cache,
        toKeys: () => unrendered(world),
      })),
      { cache: world.cdiConfigs, toKeys: () => unboundClaims(world) },
    ],
    reconcile(key, log) {
      const seen = observeDataVolume(world, progress, key);
      if (!seen) leftAlone.delete(keyId(key));
      else if (!flowOf(seen.dataVolume)) leaveAlone(key, seen.dataVolume, leftAlone, log);
      return decideDataVolume(seen, decideOptions());
    },
    refused(key, { step, refusal }) {
      if (step.do !== "create" || step.kind.kind !== "PersistentVolumeClaim") return undefined;
      const seen = observeDataVolume(world, progress, key);
      return seen && { ...decideClaimRefused(seen, refusal.message, decideOptions()) };
    },
    applied({ steps }, written) {
      for (const [at, step] of steps.entries()) {
        if (step.do === "patch" && step.subresource === "status") noteDropped(step.body, written[at], dropped);
      }
    },
  };
}

const keyId = (key: Key): string => `${key.namespace ?? ""}/${key.name}`;

/** The claim's owner, and the DataVolume of its name: a foreign claim may stand in the way of one. */
function dataVolumesOf(claim: KubeObject): Key[] {
  const owner = controllerOf(claim);
  const { namespace } = claim.metadata;
  const own = keyOf(claim);
  if (owner?.kind !== "DataVolume" || owner.name === own.name) return [own];
  return [own, { name: owner.name, ...(namespace === undefined ? {} : { namespace }) }];
}

const unrendered = (world: World): Key[] =>
  (world.dataVolumes.byIndex(indexNames.phase, "") as DataVolume[]).filter(flowOf).map((one) => keyOf(one));

function leaveAlone(key: Key, { spec }: DataVolume, told: Set<string>, log: Log): void {
  if (told.has(keyId(key))) return;
  told.add(keyId(key));
  log.info("Leaving a DataVolume alone: its source is not handled yet", {
    source: Object.keys(spec.source ?? spec.sourceRef ?? {}),
  });
}

/** Remembers which additions came back and which did not, so that what the schema drops is not written for ever. */
function noteDropped(body: object, written: KubeObject | undefined, dropped: Set<Addition>): void {
  if (!written) return;
  const sent = (body as { status?: Record<string, unknown> }).status ?? {};
  const kept = (written.status ?? {}) as Record<string, unknown>;
  for (const field of additions) {
    if (sent[field] === undefined || sent[field] === null) continue;
    if (kept[field] === undefined) dropped.add(field);
    else dropped.delete(field);
  }
}
