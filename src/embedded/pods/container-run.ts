// One container's life: its image, its configuration, its turn, its process; and again after it ended, if its pod says so.
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { additiveEnv, podPaths, podUser } from "../../contract/paths.ts";
import { stamp } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { ConfigMissing, environmentOf, expand } from "./environment.ts";
import { launch, processFile, type Exit, type Started } from "./launch.ts";
import { openLog } from "./log-file.ts";
import { logPath } from "./log-read.ts";
import { shownPod, type Container, type Pod, type Terminated } from "./pod-types.ts";
import type { PodVolumesMade } from "./pod-volumes.ts";
import { afterRestart, mayRestart, restartDelay, shownDelay, type RestartHistory } from "./restarts.ts";
import type { ContainerFacts } from "./status.ts";
import { terminationMessage } from "./termination.ts";
import { containerFolder, type World } from "./world.ts";

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
  enter: () => Promise<PodVolumesMade>;
  leave: () => void;
}

const logsKept = 2;

/** Resolves when the container has ended for good. @throws the signal's reason when the pod ends before it could start */
export async function runContainer(about: ContainerWorld, facts: ContainerFacts, isInit: boolean): Promise<void> {
  const { clock, backoff } = about.world;
  const { signal } = about;
  let history: RestartHistory = { count: facts.restartCount };
  for (;;) {
    // While it waits for a restart, what ended last stands in lastState.
    const ended = facts.state.terminated ?? (facts.state.running ? undefined : facts.lastState.terminated);
    if (ended) {
      if (isOver(about.pod(), ended, isInit)) return;
      signal.throwIfAborted();
      const finishedMs = facts.endedMs ?? Date.parse(ended.finishedAt);
      const delayMs = restartDelay(history, finishedMs, backoff);
      await waitToRestart(about, facts, ended, delayMs, finishedMs + delayMs - clock.now());
      history = afterRestart(history, finishedMs, clock.now(), backoff);
    }
    const { argv, env } = await resolve(about, facts, ended !== undefined);
    const volumes = await about.enter();
    try {
      signal.throwIfAborted();
      if (ended) {
        facts.lastState = { terminated: ended };
        facts.restartCount += 1;
      }
      facts.state = { terminated: await runOnce(about, facts, argv, env, volumes) };
      facts.endedMs = clock.now();
      await about.publish();
    } finally {
      about.leave();
    }
  }
}

function isOver(pod: Pod, { exitCode }: Terminated, isInit: boolean): boolean {
  const { restartPolicy } = pod.spec;
  if (isInit && exitCode === 0) return true;
  return !mayRestart(isInit && restartPolicy === "Always" ? "OnFailure" : restartPolicy, exitCode);
}

const fieldPath = ({ name }: Container): string => `spec.containers{${name}}`;
function tell(
  { world, pod }: ContainerWorld,
  { container }: ContainerFacts,
  reason: string,
  message: string,
  type: "Normal" | "Warning" = "Normal",
): void {
  world.teller.tell(pod(), { type, reason, message, fieldPath: fieldPath(container) });
}

async function waitToRestart(
  about: ContainerWorld,
  facts: ContainerFacts,
  ended: Terminated,
  delayMs: number,
  leftMs: number,
): Promise<void> {
  if (leftMs <= 0) return;
  const { name } = facts.container;
  const pod = shownPod(about.pod());
  tell(about, facts, "BackOff", `Back-off restarting failed container ${name} in pod ${pod}`, "Warning");
  const message = `back-off ${shownDelay(delayMs)} restarting failed container=${name} pod=${pod}`;
  facts.lastState = { terminated: ended };
  facts.state = { waiting: { reason: "CrashLoopBackOff", message } };
  await about.publish();
  await about.world.clock.sleep(leftMs, about.signal);
}

/** Waits until image and environment are known. @param hasRun then the old state stays in sight meanwhile */
async function resolve(
  about: ContainerWorld,
  facts: ContainerFacts,
  hasRun: boolean,
): Promise<{ argv: string[]; env: Map<string, string> }> {
  const { world, signal } = about;
  const { container } = facts;
  await findImage(about, facts);
  for (;;) {
    try {
      const { namespace = "" } = about.pod().metadata;
      const env = environmentOf(about.pod(), container, about.podIp, {
        secret: (name) => world.secrets.get({ namespace, name }),
        configMap: (name) => world.configMaps.get({ namespace, name }),
      });
      const entry = container.command ?? [];
      const start =
        entry.length > 0
          ? [...(world.images[entry[0] ?? ""] ?? entry.slice(0, 1)), ...entry.slice(1)]
          : (world.images[container.image] ?? []);
      return { env, argv: [...start, ...(container.args ?? [])].map((word) => expand(word, env)) };
    } catch (cause) {
      if (!(cause instanceof ConfigMissing)) throw cause;
      const changed = once(world.changes, "change", { signal });
      changed.catch(() => undefined); // awaited below
      if (facts.state.waiting?.message !== cause.message)
        tell(about, facts, "Failed", `Error: ${cause.message}`, "Warning");
      if (hasRun && facts.state.terminated) facts.lastState = { terminated: facts.state.terminated };
      facts.state = { waiting: { reason: "CreateContainerConfigError", message: cause.message } };
      await about.publish();
      await changed;
    }
  }
}

/** An image nobody told us about may be told later (the rows belong to our caller): asked again with growing delays. */
async function findImage(about: ContainerWorld, facts: ContainerFacts): Promise<void> {
  const { world, signal } = about;
  const { image } = facts.container;
  for (let failures = 1; !world.images[image]; failures += 1) {
    const why = `image "${image}" is not one this node has`;
    if (failures === 1) {
      tell(about, facts, "Failed", `Failed to pull image "${image}": ${why}`, "Warning");
      tell(about, facts, "Failed", "Error: ErrImagePull", "Warning");
      facts.state = { waiting: { reason: "ErrImagePull", message: why } };
      await about.publish();
    }
    tell(about, facts, "BackOff", `Back-off pulling image "${image}"`);
    facts.state = { waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}"` } };
    await about.publish();
    await world.clock.sleep(Math.min(world.backoff.capMs, world.backoff.baseMs * 2 ** Math.min(failures, 20)), signal);
  }
}

/** From start to exit. */
async function runOnce(
  about: ContainerWorld,
  facts: ContainerFacts,
  argv: string[],
  env: Map<string, string>,
  volumes: PodVolumesMade,
): Promise<Terminated> {
  const { world, uid } = about;
  const { clock } = world;
  const { container } = facts;
  const folder = containerFolder(world, uid, container.name);
  await mkdir(folder, { recursive: true });
  await rm(logPath(folder, facts.restartCount - logsKept), { force: true });
  const logFile = logPath(folder, facts.restartCount);
  const writer = await openLog(logFile, clock);
  world.openLogs.set(logFile, writer);
  facts.containerId = `embedded://${uid}/${container.name}/${facts.restartCount}`;
  const containerID = facts.containerId;
  const termination = {
    file: join(folder, "termination"),
    at: container.terminationMessagePath ?? podPaths.terminationLog,
  };
  const finished = (exit: Exit, reason: string, message: string | undefined, startedAt?: string): Terminated => ({
    exitCode: exit.exitCode,
    ...(exit.signal === undefined ? {} : { signal: exit.signal }),
    reason,
    ...(message ? { message } : {}),
    ...(startedAt ? { startedAt } : {}),
    finishedAt: stamp(clock.now()),
    containerID,
  });
  tell(about, facts, "Pulled", `Container image "${container.image}" already present on machine`);
  try {
    if (volumes.volumeBytes !== undefined && world.volumes.road === "folder") {
      env.set(additiveEnv.volumeBytes, String(volumes.volumeBytes));
    }
    if (world.hostsFile && world.volumes.road === "folder") env.set(additiveEnv.hosts, world.hostsFile);
    const started = await launch({
      ...identityOf(about.pod(), container),
      ...volumesOf(about, facts, volumes),
      road: world.volumes.road,
      folder,
      argv,
      env,
      termination,
      onOutput: (stream) => writer.copy(stream),
      extraCapability: world.extraCapability,
    });
    tell(about, facts, "Created", `Created container ${container.name}`);
    const ending = endWith(about, facts, started);
    const isReady = await started.ready;
    const startedAt = stamp(clock.now());
    if (isReady) {
      facts.state = { running: { startedAt } };
      tell(about, facts, "Started", `Started container ${container.name}`);
      about.log.info("Container started", { container: container.name, pid: started.pid, restart: facts.restartCount });
      await about.publish();
    }
    const exit = await started.exited;
    ending.abort();
    await rm(processFile(folder), { force: true });
    await drain(writer, started);
    about.log.info("Container ended", { container: container.name, exitCode: exit.exitCode });
    const policy = isReady ? container : { ...container, terminationMessagePolicy: "FallbackToLogsOnError" };
    const message = await terminationMessage(policy, termination.file, logFile, exit.exitCode);
    if (!isReady) {
      const error = `failed to start container ${container.name}: ${message ?? "no message"}`;
      tell(about, facts, "Failed", `Error: ${error}`, "Warning");
      return finished({ exitCode: 128 }, "StartError", error);
    }
    return finished(exit, exit.exitCode === 0 ? "Completed" : "Error", message, startedAt);
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    tell(about, facts, "Failed", `Error: ${words}`, "Warning");
    await writer.ended();
    return finished({ exitCode: 128 }, "StartError", words);
  } finally {
    world.openLogs.delete(logFile);
    await rm(join(folder, "root"), { recursive: true, force: true });
  }
}

const drainLimitMs = 2000;

/** All processes are dead, so the pipes end; one that escaped the group (folder road) cannot hold us up. */
async function drain(writer: { ended(): Promise<void> }, { stdout, stderr }: Started): Promise<void> {
  const limit = setTimeout(() => {
    stdout.destroy();
    stderr.destroy();
  }, drainLimitMs);
  await writer.ended();
  clearTimeout(limit);
}

/** Polite first, then forced. The returned controller is aborted at the exit. */
function endWith(about: ContainerWorld, facts: ContainerFacts, started: Started): AbortController {
  const over = new AbortController();
  const onEnd = async (): Promise<void> => {
    tell(about, facts, "Killing", `Stopping container ${facts.container.name}`);
    const enough = AbortSignal.any([over.signal, about.hurry]);
    const { clock, volumes } = about.world;
    // A container still being built has nothing to save.
    let leftMs = facts.state.running ? about.graceMs() : 0;
    if (leftMs > 0) await started.kill("SIGTERM");
    while (leftMs > 0 && !enough.aborted) {
      // The first process of a pid namespace does not feel a SIGTERM before it has a handler: say it again.
      const stepMs = Math.min(leftMs, volumes.road === "device" ? 1000 : leftMs);
      await clock.sleep(stepMs, enough).catch(() => undefined); // ended in time, or hurried
      leftMs -= stepMs;
      if (leftMs > 0 && !enough.aborted) await started.kill("SIGTERM");
    }
    if (!over.signal.aborted) await started.kill("SIGKILL");
  };
  const start = (): void => {
    onEnd().catch((cause: unknown) => about.log.error("Stopping a container failed", { cause }));
  };
  if (about.signal.aborted) start();
  about.signal.addEventListener("abort", start, { once: true, signal: over.signal });
  return over;
}

/** An image's own user where the pod names none: CDI's images run as 1001. */
const imageUser = 1001;

function identityOf({ spec }: Pod, { securityContext, workingDir }: Container) {
  const shared = spec.securityContext ?? {};
  const uid = securityContext?.runAsUser ?? shared.runAsUser ?? imageUser;
  const gid = securityContext?.runAsGroup ?? shared.runAsGroup ?? (uid === podUser ? podUser : uid);
  const groups = [...(shared.fsGroup === undefined ? [] : [shared.fsGroup]), ...(shared.supplementalGroups ?? [])];
  return {
    uid,
    gid,
    groups,
    readOnlyRoot: securityContext?.readOnlyRootFilesystem === true,
    workingDir: workingDir ?? "/",
  };
}

function volumesOf({ world }: ContainerWorld, { container }: ContainerFacts, volumes: PodVolumesMade) {
  const isDevice = world.volumes.road === "device";
  const mounts = [...(isDevice ? world.sharedMounts : []), ...volumes.mountsFor(container)];
  return { mounts, fileLimitBytes: isDevice ? undefined : volumes.fileLimitBytes };
}
