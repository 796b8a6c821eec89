// The door of the controllers: everything that reconciles, started on one view of the cluster.
import type { Pod } from "../api/core.ts";
import { createApply, runController, type KubeClient, type Running } from "../kube/index.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { certificatesController, certificatesKey } from "./certificates/index.ts";
import { configController } from "./config/index.ts";
import { dataVolumeController } from "./datavolume/index.ts";
import { claimImportController } from "./import/index.ts";
import { watchProgress } from "./import/progress.ts";
import type { ControllerOptions } from "./options.ts";
import { uploadController } from "./upload/index.ts";
import { claimFilledBy } from "./parts/claim-keys.ts";
import { eventComponent, startWorld } from "./world.ts";

export { installerLabelsOf, type ControllerOptions } from "./options.ts";

export interface ControllersSettings {
  client: KubeClient;
  clock: Clock;
  log: Log;
  options: ControllerOptions;
  /** Ends everything; `close` waits for the end. */
  signal: AbortSignal;
}

export interface Controllers {
  /** Stops and waits until nothing runs any more. */
  close(): Promise<void>;
  /** Writes so far, by what was done to what. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Runs at once, of different keys, for each controller. */
const workers = 8;

/** Resolves when the cluster's state is in and the workers run. @throws the signal's reason when it aborts before */
export async function startControllers({
  client,
  clock,
  log,
  options,
  signal,
}: ControllersSettings): Promise<Controllers> {
  const stop = new AbortController();
  const ending = AbortSignal.any([signal, stop.signal]);
  const world = await startWorld({ client, clock, log, signal: ending });
  const apply = createApply({ client, clock, component: eventComponent });
  const running: { dataVolumes?: Running; claims?: Running } = {};
  const progress = watchProgress({
    pods: world.pods,
    clock,
    log: log.with({ controller: "progress" }),
    onReading(pod) {
      const claim = claimOf(pod);
      if (!claim) return;
      running.dataVolumes?.enqueue(claim);
      running.claims?.enqueue(claim);
    },
  });
  /** The claim's key is also its DataVolume's: they share a name. */
  function claimOf(pod: Pod) {
    const key = claimFilledBy(pod);
    return key && world.claims.get(key) ? key : undefined;
  }
  const shared = { apply, clock, log, workers };
  running.claims = runController(claimImportController(world, progress, options), shared);
  running.dataVolumes = runController(dataVolumeController(world, progress, options), shared);
  const config = await configController(world, options, { clock, log, signal: ending });
  const certificates = runController(certificatesController(client, clock, options), shared);
  certificates.enqueue(certificatesKey);
  const others = [
    runController(uploadController(world, options), shared),
    runController(config.controller, shared),
    certificates,
  ];
  return {
    counts: apply.counts,
    async close() {
      stop.abort();
      const runs = [running.claims, running.dataVolumes, ...others];
      await Promise.all([...runs.map((one) => one?.close()), progress.close(), world.stopped, config.stopped]);
      await apply.settled();
    },
  };
}
