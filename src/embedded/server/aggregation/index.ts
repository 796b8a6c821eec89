// The aggregation layer: groups registered by an APIService are served by their own servers, behind ours.
import type { IncomingMessage, ServerResponse } from "node:http";
import { kinds } from "../../../api/kinds.ts";
import { isNotFound, type KubeClient } from "../../../kube/index.ts";
import { seconds } from "../../../lib/duration.ts";
import type { KeyedCertificate } from "../../../pki/index.ts";
import type { UserInfo } from "../auth/user.ts";
import { builtinOf } from "../registry.ts";
import { collectionPrefix } from "../resource.ts";
import type { World } from "../world.ts";
import { ask, tellAvailability, type Found } from "./availability.ts";
import type { RemoteGroup } from "./discovery.ts";
import { connectionTo, pass, unavailable } from "./pass.ts";
import { reach, registrationOf, registrations, type Registration } from "./registrations.ts";

export interface Aggregation {
  /** Who serves this group and version in our place; ours come first. */
  find(group: string, version: string): Registration | undefined;
  /** @throws ApiError 503 */
  pass(to: Registration, request: IncomingMessage, response: ServerResponse, user: UserInfo): Promise<void>;
  groups(): RemoteGroup[];
  close(): Promise<void>;
}

const everyMs = seconds(30);

export function startAggregation(world: World, client: KubeClient, frontProxy: KeyedCertificate): Aggregation {
  const { store, registry, clock, log } = world;
  const stop = new AbortController();
  const known = new Map<string, Found>();
  const isOurs = (group: string, version: string): boolean =>
    registry.all().some((one) => one.group === group && one.version === version);

  async function look(): Promise<void> {
    const all = registrations(store);
    for (const name of known.keys()) if (!all.some((one) => one.name === name)) known.delete(name);
    for (const registration of all) {
      const found = await ask(world, registration, frontProxy, stop.signal);
      if (stop.signal.aborted) return;
      known.set(registration.name, found);
      await tellAvailability(client, registration, found, clock.now()).catch((cause: unknown) => {
        if (!isNotFound(cause)) log.warn("An APIService's condition could not be written", { cause });
      });
    }
  }

  // One look at a time; what changes during one brings the next.
  let wake = Promise.withResolvers<void>();
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      const woken = wake.promise;
      await look();
      const ended = new AbortController();
      const pause = clock.sleep(everyMs, AbortSignal.any([stop.signal, ended.signal])).catch(() => undefined); // woken
      await Promise.race([woken, pause]);
      ended.abort();
    }
  }
  const watched = [kinds.apiService, kinds.service, kinds.endpoints].map((kind) => collectionPrefix(builtinOf(kind)));
  const unfollow = store.follow(({ key }) => {
    if (!watched.some((prefix) => key.startsWith(prefix))) return;
    wake.resolve();
    wake = Promise.withResolvers();
  });
  const running = run().catch((cause: unknown) =>
    log.error("Registered servers are no longer looked after", { cause }),
  );

  return {
    find: (group, version) => (isOurs(group, version) ? undefined : registrationOf(store, group, version)),
    async pass(to, request, response, user) {
      const reached = reach(store, to);
      if (!("at" in reached)) throw unavailable(reached.message);
      await pass(request, response, connectionTo(to, reached.at, frontProxy), user);
    },
    groups: () =>
      registrations(store)
        .filter(({ group, version }) => !isOurs(group, version))
        .map(({ name, group, version }) => {
          const found = known.get(name);
          const resources = found && "resources" in found ? found.resources : [];
          return { group, version, resources, isAvailable: found !== undefined && "resources" in found };
        }),
    async close() {
      stop.abort();
      wake.resolve();
      unfollow();
      await running;
    },
  };
}
