// One pod's life on the node: wait for what it needs and for its turn, run its containers, tell its status, clean up.
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { kinds } from "../../api/kinds.ts";
import { isConflict, isNotFound } from "../../kube/index.ts";
import { backoffDelay } from "../../lib/backoff.ts";
import { stamp } from "../../lib/clock.ts";
import { waitsForImage } from "./container-image.ts";
import { runContainer } from "./container-run.ts";
import type { ContainerWorld } from "./container-world.ts";
import { shownPod, type Container, type ContainerStatus, type Pod } from "./pod-types.ts";
import { podTurn } from "./pod-turn.ts";
import { makeVolumes, missingFor, type PodVolumesMade } from "./pod-volumes.ts";
import { creating, initializing, statusOf, type ContainerFacts, type PodFacts } from "./status.ts";
import { podFolder, type World } from "./world.ts";

/** How a pod is ended from outside. */
export interface Ending {
  graceMs: number;
  /** Write the last status: not for a pod that is no longer in the API, nor when the node itself stops. */
  tells: boolean;
}

export interface PodRun {
  /** The newest spec and metadata. */
  update(pod: Pod): void;
  refreshFiles(): Promise<void>;
  end(ending: Ending): void;
  /** Resolves when no process and no attached volume is left. */
  readonly done: Promise<void>;
}

export function startPodRun(world: World, first: Pod): PodRun {
  const { client, clock, teller } = world;
  let pod = first;
  const uid = first.metadata.uid ?? "";
  const log = world.log.with({ pod: `${first.metadata.namespace}/${first.metadata.name}` });
  const stop = new AbortController();
  const hurry = new AbortController();
  let ending: Ending | undefined;
  const facts = factsOf(first, clock.now());
  facts.podIp = world.addresses.take(first.status?.podIP);
  const podIp = facts.podIp;

  // --- telling: one write at a time, only what differs from the last
  let writing: Promise<void> = Promise.resolve();
  let written = "";
  let conditions = first.status?.conditions ?? [];
  async function write(): Promise<void> {
    if (ending && !ending.tells) return;
    const status = statusOf(facts, conditions, clock.now(), ending ? endedPhase() : undefined);
    const text = JSON.stringify(status);
    if (text === written) return;
    const { name = "", namespace = "" } = pod.metadata;
    try {
      const ref = { kind: kinds.pod, namespace, name };
      await client.patch(ref, { metadata: { uid }, status }, { type: "merge", subresource: "status" });
      written = text;
      conditions = status.conditions ?? [];
    } catch (cause) {
      // Deleted by force, or made anew under the same name: the watch says so too.
      if (!isNotFound(cause) && !isConflict(cause)) log.warn("Pod status not written", { cause });
    }
  }
  const publish = (): Promise<void> => (writing = writing.then(write));
  /** A killed pod has failed, whatever its restart policy; one that was done has succeeded. */
  function endedPhase(): "Failed" | "Succeeded" | undefined {
    if ([...facts.init, ...facts.main].some(({ state }) => state.running)) return undefined;
    const exits = [...facts.init, ...facts.main].map(
      ({ state, lastState }) => state.terminated ?? lastState.terminated,
    );
    if (exits.every((exit) => exit === undefined)) return undefined;
    return exits.every((exit) => exit?.exitCode === 0) ? "Succeeded" : "Failed";
  }

  // --- volumes and turns
  let volumes: PodVolumesMade | undefined;
  const turn = podTurn(() => {
    const { creationTimestamp, namespace, name } = pod.metadata;
    return world.slots.take(`${creationTimestamp} ${namespace}/${name}`, stop.signal);
  });
  async function waitForSources(): Promise<void> {
    for (let said = ""; ;) {
      const missing = missingFor(pod, world);
      if (!missing) return;
      if (said !== missing.message && !missing.isSilent) {
        const message = `MountVolume.SetUp failed for volume "${missing.volume}" : ${missing.message}`;
        teller.tell(pod, { type: "Warning", reason: "FailedMount", message });
      }
      said = missing.message;
      await once(world.changes, "change", { signal: stop.signal });
    }
  }
  async function enter(one: ContainerFacts): Promise<PodVolumesMade> {
    if (!volumes) await waitForSources();
    // While one waits for its image, the others wait for it.
    const isIdle = [...facts.init, ...facts.main].some((other) => other !== one && waitsForImage(other));
    await turn.enter(isServer(pod) || isIdle);
    try {
      return await attached();
    } catch (cause) {
      turn.leave();
      throw cause;
    }
  }
  // Containers that start together share one attempt.
  let attaching: Promise<PodVolumesMade> | undefined;
  async function attached(): Promise<PodVolumesMade> {
    attaching ??= attachVolumes();
    return attaching;
  }
  async function attachVolumes(): Promise<PodVolumesMade> {
    for (let failures = 1; ; failures += 1) {
      try {
        volumes = await makeVolumes(pod, join(podFolder(world, uid), "volumes"), world);
        return volumes;
      } catch (cause) {
        const message = `MountVolume.SetUp failed: ${cause instanceof Error ? cause.message : String(cause)}`;
        log.warn("Attaching volumes failed", { cause });
        teller.tell(pod, { type: "Warning", reason: "FailedMount", message });
        await clock.sleep(backoffDelay(failures, { baseMs: 500, capMs: 120_000 }), stop.signal);
      }
    }
  }

  const about: ContainerWorld = {
    world,
    uid,
    podIp,
    log,
    signal: stop.signal,
    hurry: hurry.signal,
    pod: () => pod,
    graceMs: () => ending?.graceMs ?? 0,
    publish,
    enter,
    leave: turn.leave,
    rest: turn.rest,
  };

  async function live(): Promise<void> {
    const folder = podFolder(world, uid);
    await mkdir(folder, { recursive: true });
    await publish();
    for (const one of facts.init) {
      await runContainer(about, one, true);
      if (one.state.terminated?.exitCode !== 0) return;
    }
    // One that gives up must not leave the others running unwatched.
    const ends = await Promise.allSettled(facts.main.map((one) => runContainer(about, one, false)));
    for (const one of ends) if (one.status === "rejected") throw one.reason;
  }

  async function cleanUp(): Promise<void> {
    await publish();
    await volumes?.release();
    await world.pulled?.letGo(uid);
    world.addresses.give(podIp);
    // What it has in its emptyDirs is there when the node goes on with it.
    const goesOn = ending?.tells === false;
    if (!goesOn) await rm(join(podFolder(world, uid), "volumes"), { recursive: true, force: true });
    await publish();
  }

  async function run(): Promise<void> {
    try {
      await live();
    } catch (cause) {
      if (!stop.signal.aborted) log.error("Running a pod failed", { pod: shownPod(pod), cause });
    } finally {
      await cleanUp();
    }
  }

  return {
    update: (newer) => void (pod = newer),
    refreshFiles: async () => volumes?.refresh(),
    end(how) {
      if (ending && how.graceMs < ending.graceMs) hurry.abort(new Error("the pod is to end now"));
      ending = { graceMs: how.graceMs, tells: how.tells && (ending?.tells ?? true) };
      stop.abort(new Error("the pod is being ended"));
    },
    done: run(),
  };
}

/** Turns are for those who work by themselves: a server waits for others, and for as long as they like. */
const isServer = ({ spec }: Pod): boolean => spec.containers.some(({ readinessProbe }) => readinessProbe !== undefined);

/** From the API's last word: after a restart of the node its running containers are dead, all else stands. */
function factsOf(pod: Pod, nowMs: number): PodFacts {
  const { spec, status } = pod;
  const fresh = spec.initContainers?.length ? initializing : creating;
  const adopt = (container: Container, statuses: ContainerStatus[] | undefined): ContainerFacts => {
    const known = statuses?.find(({ name }) => name === container.name);
    if (!known) return { container, restartCount: 0, state: fresh, lastState: {} };
    const { restartCount, lastState, containerID } = known;
    const id = containerID ? { containerId: containerID } : {};
    if (!known.state.running) return { container, restartCount, state: known.state, lastState, ...id };
    const terminated = {
      exitCode: 137,
      reason: "ContainerStatusUnknown",
      message: "The node was restarted while the container was running",
      startedAt: known.state.running.startedAt,
      finishedAt: stamp(nowMs),
      ...(containerID ? { containerID } : {}),
    };
    return { container, restartCount, state: { terminated }, lastState, ...id };
  };
  return {
    pod,
    init: (spec.initContainers ?? []).map((one) => adopt(one, status?.initContainerStatuses)),
    main: spec.containers.map((one) => adopt(one, status?.containerStatuses)),
    startTime: status?.startTime ?? stamp(nowMs),
  };
}
