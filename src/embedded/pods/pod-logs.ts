// Pod logs as the API server asks for them: finds the container's instance, refuses as the kubelet refuses.
import type { Cache } from "../../kube/index.ts";
import { KubeError } from "../../kube/index.ts";
import type { LogOptions, PodLogs } from "../types.ts";
import { instancesIn, logPath, noSuchLog, readLog } from "./log-read.ts";
import type { Pod } from "./pod-types.ts";
import { containerFolder, type World } from "./world.ts";

export function podLogs(world: Pick<World, "dir" | "openLogs" | "clock">, pods: Cache): PodLogs {
  return {
    async *read(namespace: string, name: string, options: LogOptions) {
      const pod = pods.get({ namespace, name }) as Pod | undefined;
      if (!pod) throw new KubeError(404, "NotFound", `pods "${name}" not found`);
      const container = chosen(pod, options.container);
      const folder = containerFolder(world, pod.metadata.uid ?? "", container);
      const [newest, ...older] = await instancesIn(folder);
      const instance = options.previous ? older[0] : newest;
      if (instance === undefined) {
        if (options.previous)
          throw noSuchLog(`previous terminated container "${container}" in pod "${name}" not found`);
        throw noSuchLog(
          `container "${container}" in pod "${name}" is waiting to start: ${waitingReason(pod, container)}`,
        );
      }
      const path = logPath(folder, instance);
      yield* readLog(path, options, world.openLogs.get(path), world.clock.now());
    },
  };
}

function chosen(pod: Pod, asked: string | undefined): string {
  const main = pod.spec.containers.map(({ name }) => name);
  const all = [...main, ...(pod.spec.initContainers ?? []).map(({ name }) => name)];
  const { name } = pod.metadata;
  if (asked === undefined) {
    const [only, ...others] = main;
    if (only !== undefined && others.length === 0) return only;
    throw noSuchLog(`a container name must be specified for pod ${name}, choose one of: [${main.join(" ")}]`);
  }
  if (!all.includes(asked)) throw noSuchLog(`container ${asked} is not valid for pod ${name}`);
  return asked;
}

function waitingReason({ status }: Pod, container: string): string {
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  return statuses.find(({ name }) => name === container)?.state.waiting?.reason ?? "ContainerCreating";
}
