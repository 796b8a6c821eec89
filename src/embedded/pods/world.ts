// What every pod on the node shares.
import type { EventEmitter } from "node:events";
import { join } from "node:path";
import type { KubeClient } from "../../kube/index.ts";
import type { BackoffShape } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { Images } from "../images/index.ts";
import type { Teller } from "../tell.ts";
import type { Addresses } from "./addresses.ts";
import type { Mount } from "./launch.ts";
import type { LogWriter } from "./log-file.ts";
import type { MemoryGroups } from "./memory-groups.ts";
import type { VolumeSources } from "./pod-volumes.ts";
import type { Slots } from "./slots.ts";

export interface World extends VolumeSources {
  client: KubeClient;
  /** Real path. Holds one folder per pod, named by uid. */
  dir: string;
  images: Readonly<Record<string, readonly string[]>>;
  /** Images of others; absent where this node runs none. */
  pulled: Images | undefined;
  slots: Slots;
  addresses: Addresses;
  /** Absent where memory limits are not wanted. */
  memory: MemoryGroups | undefined;
  backoff: BackoffShape;
  teller: Teller;
  /** "change": a claim, Secret or ConfigMap is new, changed or gone. */
  changes: EventEmitter;
  /** Seen by every container: the application. */
  sharedMounts: readonly Mount[];
  /** The machine has an /etc/hosts, over which the pod's can be bound. */
  hasHosts: boolean;
  extraCapability: string;
  hostsFile: string | undefined;
  /** Logs being written, by path. */
  openLogs: Map<string, LogWriter>;
  clock: Clock;
  log: Log;
}

export const podFolder = (world: Pick<World, "dir">, uid: string): string => join(world.dir, uid);
export const containerFolder = (world: Pick<World, "dir">, uid: string, container: string): string =>
  join(podFolder(world, uid), "containers", container);
