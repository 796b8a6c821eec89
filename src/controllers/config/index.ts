// Keeps CDIConfig there, and what its status says true.
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import type { StorageClass } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Key, KindRef, KubeObject } from "../../api/meta.ts";
import { isNotFound, startCache, type Cache, type Controller, type KubeClient } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { ControllerOptions } from "../options.ts";
import type { World } from "../world.ts";
import { authorityPlace, decideConfig, type ConfigFacts } from "./decide.ts";

const configKey: Key = { name: cdiConfigName };

/** Routes exist on OpenShift only: a kind that is not served is not watched. */
export async function configController(
  world: World,
  options: ControllerOptions,
  { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<{ controller: Controller; stopped: Promise<unknown> }> {
  const namespace = options.cdiNamespace;
  const watched: (Cache & { stopped: Promise<void> })[] = [];
  for (const kind of [kinds.ingress, kinds.route]) {
    if (!(await isServed(world.client, kind, namespace))) continue;
    watched.push(startCache({ client: world.client, kind, namespace, clock, log }, signal));
  }
  await Promise.all(watched.map((cache) => cache.synced()));
  const of = (kind: KindRef): KubeObject[] =>
    (watched.find((cache) => cache.kind === kind)?.list() ?? []).toSorted((a, b) =>
      (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1,
    );
  const authorityOf = async (seen: ConfigFacts): Promise<string | undefined> => {
    const place = authorityPlace(seen);
    if (!place) return undefined;
    const found = await world.client.get({ kind: place.kind, namespace, name: place.name });
    const text = (found?.["data"] as Record<string, string> | undefined)?.[place.key];
    return text !== undefined && place.kind === kinds.secret ? Buffer.from(text, "base64").toString() : text;
  };
  const controller: Controller = {
    name: "config",
    watches: [world.cdiConfigs, world.storageClasses, ...watched].map((cache) => ({
      cache,
      toKeys: () => [configKey],
    })),
    async reconcile() {
      const config = world.cdiConfigs.get(configKey) as CdiConfig | undefined;
      if (!config) return decideConfig(undefined, clock.now());
      const storageClasses = world.storageClasses.list() as StorageClass[];
      const seen = { config, storageClasses, ingresses: of(kinds.ingress), routes: of(kinds.route) };
      const authority = await authorityOf(seen);
      return decideConfig({ ...seen, ...(authority === undefined ? {} : { authority }) }, clock.now());
    },
  };
  return { controller, stopped: Promise.all(watched.map((cache) => cache.stopped)) };
}

async function isServed(client: KubeClient, kind: KindRef, namespace: string): Promise<boolean> {
  try {
    await client.list(kind, { namespace, limit: 1 });
    return true;
  } catch (cause) {
    if (isNotFound(cause)) return false;
    throw cause;
  }
}
