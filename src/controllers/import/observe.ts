// All that a claim's import is decided on, read from the caches.
import type { CdiConfig } from "../../api/cdi-config.ts";
import type { ConfigMap, KubeEvent, Pod } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Key } from "../../api/meta.ts";
import type { ControllerOptions } from "../options.ts";
import { hasDelivered } from "../parts/scrape.ts";
import { observeWorker, type WorkerFacts } from "../parts/worker-facts.ts";
import { indexNames, isImporterPod, type World } from "../world.ts";
import type { ProgressWatch } from "./progress.ts";

export interface ImportFacts extends WorkerFacts {
  /** The running container has had bytes from its source. */
  delivering: boolean;
  /** What the kubelet last said of a volume it could not mount, while the pod waits. */
  mountFailure?: string;
  /** The proxy's CA bundle, looked for only while a new pod may need its copy. */
  proxyCa?: ConfigMap;
}

/** @returns undefined when there is no such claim */
export async function observeImport(
  world: World,
  progress: ProgressWatch,
  key: Key,
  options: ControllerOptions,
): Promise<ImportFacts | undefined> {
  const facts = observeWorker(world, key, isImporterPod);
  if (!facts) return undefined;
  const { pod } = facts;
  const proxyCa = await proxyCaFor(world, facts.config, pod, options);
  return {
    ...facts,
    delivering: pod !== undefined && hasDelivered(progress.readingOf(pod)),
    ...mountFailureOf(world, pod),
    ...(proxyCa ? { proxyCa } : {}),
  };
}

function mountFailureOf(world: World, pod: Pod | undefined): Pick<ImportFacts, "mountFailure"> {
  if (!pod || (pod.status?.phase ?? "Pending") !== "Pending") return {};
  const told = world.mountEvents.byIndex(indexNames.about, pod.metadata.uid ?? "") as KubeEvent[];
  const last = told.toSorted((a, b) => ((a.lastTimestamp ?? "") < (b.lastTimestamp ?? "") ? 1 : -1))[0];
  return last?.message === undefined ? {} : { mountFailure: last.message };
}

async function proxyCaFor(
  world: World,
  config: CdiConfig | undefined,
  pod: Pod | undefined,
  options: ControllerOptions,
): Promise<ConfigMap | undefined> {
  const name = config?.status?.importProxy?.trustedCAProxy;
  if (!name || !pod || (pod.status?.phase ?? "Pending") !== "Pending") return undefined;
  return (await world.client.get({ kind: kinds.configMap, namespace: options.cdiNamespace, name })) as
    ConfigMap | undefined;
}
