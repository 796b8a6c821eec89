// The door of pods: the kubelet of embedded mode. Follows the pods of its node and runs each as child processes.
import { EventEmitter } from "node:events";
import { access, chmod, mkdir, realpath, rm } from "node:fs/promises";
import { kinds } from "../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../api/meta.ts";
import { isNotFound, startCache, type Cache, type KubeClient } from "../../kube/index.ts";
import type { BackoffShape } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { openImages, type Images } from "../images/index.ts";
import { createTeller } from "../tell.ts";
import type { PodLogs } from "../types.ts";
import type { Volumes } from "../volumes/index.ts";
import { createAddresses } from "./addresses.ts";
import { applicationMounts, isClosedToOthers } from "./application.ts";
import { cleanLeftovers } from "./leftovers.ts";
import { openMemoryGroups } from "./memory-groups.ts";
import { publishNode } from "./node-object.ts";
import { podLogs } from "./pod-logs.ts";
import { startPodRun, type PodRun } from "./pod-run.ts";
import { isEnded, type Pod } from "./pod-types.ts";
import { createSlots } from "./slots.ts";
import { podFolder, type World } from "./world.ts";

export interface PodsOptions {
  client: KubeClient;
  volumes: Volumes;
  /** One folder per pod; created if absent. */
  dir: string;
  nodeName: string;
  /** Seen by every pod, read-only, at the same path: the checkout or installed package. */
  appDirs: readonly string[];
  /** Image name (or, for pods that give a command, its first word) -> program and first arguments. */
  images: Readonly<Record<string, readonly string[]>>;
  /** How images of others are had, and where they lie; absent: pods that want one wait. Device road only. */
  pull?: { puller: readonly string[]; dir: string };
  /** Pods whose containers run at once; the others wait, oldest first. */
  maxRunning: number;
  backoff: BackoffShape;
  clock: Clock;
  log: Log;
  /** Bound over /etc/hosts, or named by CDI_HOSTS. */
  hostsFile?: string;
  /** False: containers run without their memory limits. Default true, where the machine allows. */
  memoryLimits?: boolean;
}

export interface Pods {
  readonly logs: PodLogs;
  /** Ends all containers (politely, five seconds); their pods run again at the next start. */
  close(): Promise<void>;
}

const closeGraceMs = 5000;
const defaultGraceSeconds = 30;

export async function startPods(options: PodsOptions): Promise<Pods> {
  const { client, volumes, nodeName, clock, log } = options;
  await mkdir(options.dir, { recursive: true });
  await chmod(options.dir, 0o700);
  const dir = await realpath(options.dir);
  const stop = new AbortController();
  const caches: (Cache & { stopped: Promise<void> })[] = [];
  function cacheOf(kind: KindRef): Cache {
    const cache = startCache({ client, kind, clock, log }, stop.signal);
    caches.push(cache);
    return cache;
  }
  const pods = cacheOf(kinds.pod);
  const claims = cacheOf(kinds.claim);
  const secrets = cacheOf(kinds.secret);
  const configMaps = cacheOf(kinds.configMap);
  await Promise.all(caches.map((cache) => cache.synced()));
  await cleanLeftovers(dir, new Set(pods.list().map(({ metadata }) => metadata.uid ?? "")), log);
  await publishNode(client, nodeName, clock);

  const changes = new EventEmitter();
  changes.setMaxListeners(0);
  const teller = createTeller(client, "kubelet", nodeName, clock, log);
  const world: World = {
    client,
    volumes,
    claims,
    secrets,
    configMaps,
    changes,
    teller,
    dir,
    clock,
    log,
    images: options.images,
    pulled: await openPulled(options),
    slots: createSlots(options.maxRunning),
    addresses: createAddresses(),
    memory: options.memoryLimits === false ? undefined : await openMemoryGroups({ log }),
    backoff: options.backoff,
    openLogs: new Map(),
    hostsFile: options.hostsFile,
    ...(await sharedWorld(options)),
  };

  const runs = new Map<string, PodRun & { finished: boolean }>();
  const tasks = new Set<Promise<void>>();
  function later(what: string, act: () => Promise<void>): void {
    const task: Promise<void> = act()
      .catch((cause: unknown) => log.error("Node task failed", { what, cause }))
      .finally(() => tasks.delete(task));
    tasks.add(task);
  }
  let closing = false;

  async function finish(pod: Pod): Promise<void> {
    const { uid = "", namespace = "", name = "" } = pod.metadata;
    await rm(podFolder(world, uid), { recursive: true, force: true });
    await client.delete({ kind: kinds.pod, namespace, name }, { uid, gracePeriodSeconds: 0 });
  }

  function see(pod: Pod): void {
    const { uid = "", deletionTimestamp, deletionGracePeriodSeconds: graceSeconds } = pod.metadata;
    if (pod.spec.nodeName !== nodeName || closing) return;
    const run = runs.get(uid);
    run?.update(pod);
    if (!deletionTimestamp) {
      if (!run && !isEnded(pod)) start(uid, pod);
      return;
    }
    const graceMs = (graceSeconds ?? pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000;
    if (run && !run.finished) run.end({ graceMs, tells: true });
    else later("finishing a deleted pod", () => finish(pod));
  }

  function start(uid: string, first: Pod): void {
    const run = { ...startPodRun(world, first), finished: false };
    runs.set(uid, run);
    later("running a pod", async () => {
      await run.done;
      run.finished = true;
      if (closing) return;
      const { namespace = "", name = "" } = first.metadata;
      const pod = pods.get({ namespace, name }) as Pod | undefined;
      if (pod?.metadata.uid === uid && pod.metadata.deletionTimestamp) await finish(pod);
    });
  }

  function forget({ metadata: { uid = "" } }: KubeObject): void {
    const run = runs.get(uid);
    run?.end({ graceMs: 0, tells: false });
    later("forgetting a pod", async () => {
      await run?.done;
      runs.delete(uid);
      await rm(podFolder(world, uid), { recursive: true, force: true });
    });
  }

  pods.onChange(({ before, after }) => {
    if (before && before.metadata.uid !== after?.metadata.uid) forget(before);
    if (after) see(after as Pod);
  });
  const onSource = (): void => {
    changes.emit("change");
    for (const run of runs.values()) if (!run.finished) later("refreshing files", () => run.refreshFiles());
  };
  claims.onChange(() => changes.emit("change"));
  secrets.onChange(onSource);
  configMaps.onChange(onSource);

  return {
    logs: podLogs(world, pods),
    async close() {
      closing = true;
      for (const run of runs.values()) run.end({ graceMs: closeGraceMs, tells: false });
      await Promise.all([...runs.values()].map(({ done }) => done));
      while (tasks.size > 0) await Promise.all(tasks);
      await world.memory?.close();
      stop.abort();
      await Promise.all(caches.map(({ stopped }) => stopped));
      await teller.flush();
    },
  };
}

/** Images of others, where this machine can run programs in them. */
async function openPulled({ pull, volumes, client, log }: PodsOptions): Promise<Images | undefined> {
  if (!pull || volumes.road !== "device") return undefined;
  return await openImages({
    ...pull,
    log,
    async insecureRegistries() {
      const config = await client.get({ kind: kinds.cdiConfig, name: "config" }).catch((cause: unknown) => {
        if (isNotFound(cause)) return undefined; // not even the kind
        throw cause;
      });
      return (config as { spec?: { insecureRegistries?: string[] } } | undefined)?.spec?.insecureRegistries ?? [];
    },
  });
}

/** What is found out once at the start and holds for every container. */
async function sharedWorld({
  volumes,
  appDirs,
  images,
  log,
}: PodsOptions): Promise<Pick<World, "sharedMounts" | "hasHosts" | "extraCapability">> {
  if (volumes.road === "folder") {
    log.warn(
      "Pods are not isolated: they run as this user, see this machine's files, and find their own under CDI_ROOT",
    );
    return { sharedMounts: [], hasHosts: false, extraCapability: "" };
  }
  const sharedMounts = await applicationMounts(appDirs, images);
  const hasHosts = await access("/etc/hosts").then(
    () => true,
    () => false,
  );
  if (!(await isClosedToOthers(appDirs))) return { sharedMounts, hasHosts, extraCapability: "" };
  log.warn("The application's files are closed to other users: pods get CAP_DAC_READ_SEARCH to read them", { appDirs });
  return { sharedMounts, hasHosts, extraCapability: "dac_read_search" };
}
