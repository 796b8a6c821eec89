// One container's life: its image, its configuration, its turn, its process; and again after it ended, if its pod says so.
import { once } from "node:events";
import { runOnce } from "./container-start.ts";
import { tell, type ContainerWorld } from "./container-world.ts";
import { ConfigMissing, environmentOf, expand } from "./environment.ts";
import { shownPod, type Pod, type Terminated } from "./pod-types.ts";
import { afterRestart, mayRestart, restartDelay, shownDelay, type RestartHistory } from "./restarts.ts";
import type { ContainerFacts } from "./status.ts";

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
