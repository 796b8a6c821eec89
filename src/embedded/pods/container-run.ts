// One container's life: its image, its configuration, its turn, its process; and again after it ended, if its pod says so.
import { once } from "node:events";
import { argvInImage, argvOfOwn, imageOf } from "./container-image.ts";
import { runOnce, type Program } from "./container-start.ts";
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
    const program = await resolve(about, facts, ended !== undefined);
    const volumes = await about.enter(facts);
    try {
      signal.throwIfAborted();
      if (ended) {
        facts.lastState = { terminated: ended };
        facts.restartCount += 1;
      }
      facts.state = { terminated: await runOnce(about, facts, program, volumes) };
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

const noSidecars = "this node does not offer containers with a restartPolicy of their own (sidecars)";

/** Waits until image and environment are known. @param hasRun then the old state stays in sight meanwhile */
async function resolve(about: ContainerWorld, facts: ContainerFacts, hasRun: boolean): Promise<Program> {
  const { world, signal } = about;
  const { container } = facts;
  const image = await imageOf(about, facts);
  for (;;) {
    try {
      if (container.restartPolicy !== undefined) throw new ConfigMissing(noSidecars);
      const { namespace = "" } = about.pod().metadata;
      const sources = {
        secret: (name: string) => world.secrets.get({ namespace, name }),
        configMap: (name: string) => world.configMaps.get({ namespace, name }),
      };
      const env = environmentOf(about.pod(), container, about.podIp, sources, image?.config.env);
      const argv = image ? argvInImage(container, image.config) : argvOfOwn(container, world.images);
      return { env, argv: argv.map((word) => expand(word, env)), image };
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
