// One run of a container: from its process being built to its exit, its last words read.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { additiveEnv, podPaths } from "../../contract/paths.ts";
import { stamp } from "../../lib/clock.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import type { HeldImage } from "../images/index.ts";
import { identityOf } from "./container-identity.ts";
import { tell, type ContainerWorld } from "./container-world.ts";
import { imageMounts } from "./image-shell.ts";
import { bindOf, launch, processFile, type Exit, type Mount, type Started } from "./launch.ts";
import { openLog } from "./log-file.ts";
import { logPath } from "./log-read.ts";
import type { Terminated } from "./pod-types.ts";
import { hostsFileFor } from "./pod-hosts.ts";
import { insideRoot, type PodVolumesMade } from "./pod-volumes.ts";
import { isAsked, probeReadiness } from "./probes.ts";
import type { ContainerFacts } from "./status.ts";
import { terminationMessage } from "./termination.ts";
import { containerFolder } from "./world.ts";

/** This run's log and the one before. */
const logsKept = 2;

/** What is started. */
export interface Program {
  argv: string[];
  env: Map<string, string>;
  /** Whose files it sees; absent for a program of this machine. */
  image: HeldImage | undefined;
}

/** From start to exit. */
export async function runOnce(
  about: ContainerWorld,
  facts: ContainerFacts,
  { argv, env, image }: Program,
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
    at: insideRoot(container.terminationMessagePath ?? podPaths.terminationLog),
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
  const memoryLimit = parseQuantity(container.resources?.limits?.memory ?? "");
  const group = memoryLimit ? await world.memory?.make(`${uid}-${container.name}`, memoryLimit) : undefined;
  try {
    if (volumes.volumeBytes !== undefined && world.volumes.road === "folder") {
      env.set(additiveEnv.volumeBytes, String(volumes.volumeBytes));
    }
    const { podIp } = about;
    const hostsFile = await hostsFileFor({ pod: about.pod(), podIp, hostsFile: world.hostsFile, folder });
    if (hostsFile && world.volumes.road === "folder") env.set(additiveEnv.hosts, hostsFile);
    if (argv.length === 0) throw new Error("no command specified");
    const started = await launch({
      ...identityOf(about.pod(), container, image?.config),
      ...(await volumesOf(about, facts, volumes, { hostsFile, inImage: image !== undefined })),
      road: world.volumes.road,
      folder,
      argv,
      env,
      termination,
      onOutput: (stream) => writer.copy(stream),
      extraCapability: world.extraCapability,
      joinFile: group?.joinFile,
      imageRoot: image?.root,
    });
    tell(about, facts, "Created", `Created container ${container.name}`);
    const ending = endWith(about, facts, started);
    const isReady = await started.ready;
    const startedAt = stamp(clock.now());
    const probes = new AbortController();
    const probing = isReady ? probe(about, facts, probes.signal) : undefined;
    if (isReady) {
      facts.state = { running: { startedAt } };
      tell(about, facts, "Started", `Started container ${container.name}`);
      about.log.info("Container started", { container: container.name, pid: started.pid, restart: facts.restartCount });
      await about.publish();
    }
    const exit = await started.exited;
    probes.abort();
    ending.abort();
    await probing;
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
    const reason = exit.exitCode === 0 ? "Completed" : (await group?.wasKilled()) ? "OOMKilled" : "Error";
    return finished(exit, reason, message, startedAt);
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    tell(about, facts, "Failed", `Error: ${words}`, "Warning");
    await writer.ended();
    return finished({ exitCode: 128 }, "StartError", words);
  } finally {
    world.openLogs.delete(logFile);
    await group?.remove();
    await rm(join(folder, "root"), { recursive: true, force: true });
  }
}

/** Until the probe has passed the container is not ready. */
async function probe(about: ContainerWorld, facts: ContainerFacts, signal: AbortSignal): Promise<void> {
  const { readinessProbe } = facts.container;
  if (!isAsked(readinessProbe)) return;
  facts.probed = false;
  await probeReadiness({
    probe: readinessProbe,
    container: facts.container,
    podIp: about.podIp,
    clock: about.world.clock,
    signal,
    onChange(ready) {
      facts.probed = ready;
      void about.publish();
    },
  }).catch((cause: unknown) => about.log.error("Probing a container failed", { cause }));
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

async function volumesOf(
  { world }: ContainerWorld,
  { container }: ContainerFacts,
  volumes: PodVolumesMade,
  { hostsFile, inImage }: { hostsFile: string | undefined; inImage: boolean },
) {
  const isDevice = world.volumes.road === "device";
  const depth = ({ at }: Mount): number => at.split("/").length;
  const hosts = hostsFile && (world.hasHosts || inImage) ? [bindOf(hostsFile, "/etc/hosts", true)] : [];
  const shared = inImage ? await imageMounts() : world.sharedMounts;
  // Outer paths first: a checkout below /tmp is seen in a pod that mounts its own there.
  const mounts = [...(isDevice ? [...shared, ...hosts] : []), ...volumes.mountsFor(container)].toSorted(
    (a, b) => depth(a) - depth(b),
  );
  return { mounts, fileLimitBytes: isDevice ? undefined : volumes.fileLimitFor(container) };
}
