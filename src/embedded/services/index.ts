// Services of embedded mode: their endpoints, and their names. There is no address of a Service's own here: a name leads to the
// ready pods behind it, as a headless Service's does on a cluster.
import { readFile, writeFile } from "node:fs/promises";
import type { LookupFunction } from "node:net";
import type { Pod } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { keyOf, shownKey, type KindRef, type KubeObject } from "../../api/meta.ts";
import { isSame, startCache, type KubeClient } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { lookupIn } from "../../lib/lookup.ts";
import { runKeyed } from "../keyed.ts";
import { namesOf, readyAddresses, selects, subsetsOf, type Endpoints, type Service } from "./endpoints.ts";

export interface ServicesOptions {
  client: KubeClient;
  /** Written with the names of Services as they come and go, behind the machine's own. */
  hostsFile: string;
  clock: Clock;
  log: Log;
}

export interface Services {
  /** Names of Services, else the system's resolver. */
  readonly lookup: LookupFunction;
  close(): Promise<void>;
}

export async function startServices({ client, hostsFile, clock, log }: ServicesOptions): Promise<Services> {
  const stop = new AbortController();
  const start = (kind: KindRef) => startCache({ client, kind, clock, log }, stop.signal);
  const [services, endpoints, pods] = [start(kinds.service), start(kinds.endpoints), start(kinds.pod)];
  const own = await readFile("/etc/hosts", "utf8").catch(() => "127.0.0.1 localhost\n"); // a machine without one
  // There from the start: pods bind it.
  await writeFile(hostsFile, own);
  await Promise.all([services.synced(), endpoints.synced(), pods.synced()]);

  const within = (namespace: string | undefined, name: string) => ({ name, ...(namespace ? { namespace } : {}) });
  const idOf = (object: KubeObject): string => shownKey(keyOf(object));
  const keyIn = (id: string) => {
    const [namespace = "", name = ""] = id.split("/");
    return within(namespace, name);
  };

  async function run(id: string): Promise<void> {
    const key = keyIn(id);
    const service = services.get(key) as Service | undefined;
    const known = endpoints.get(key) as Endpoints | undefined;
    const ref = { kind: kinds.endpoints, ...key };
    if (!service) return known && isOurs(known) ? client.delete(ref, { uid: known.metadata.uid ?? "" }) : undefined;
    // Without a selector they are somebody's own to write.
    if (!service.spec.selector) return;
    const mine = pods.list().filter(({ metadata }) => metadata.namespace === service.metadata.namespace) as Pod[];
    const subsets = subsetsOf(service, mine);
    if (!known) {
      const metadata = { ...key, labels: { [managedBy]: manager } };
      await client.create({ apiVersion: "v1", kind: "Endpoints", metadata, subsets }, kinds.endpoints);
    } else if (!isSame(known.subsets ?? [], subsets)) {
      await client.patch(ref, { subsets }, { type: "merge" });
    }
  }
  const work = runKeyed(run, 1, clock, log);

  let writing = Promise.resolve();
  let isStale = false;
  function writeHosts(): void {
    if (isStale) return;
    isStale = true;
    writing = writing.then(async () => {
      isStale = false;
      const lines = services.list().flatMap((service) => {
        const addresses = readyAddresses(endpoints.get(keyOf(service)) as Endpoints | undefined);
        return addresses.map((address) => `${address} ${namesOf(service).join(" ")}`);
      });
      // In place: it is bound into pods as a file, so that another in its stead would not be seen there.
      await writeFile(hostsFile, [own.trimEnd(), ...lines, ""].join("\n"));
    });
    writing = writing.catch((cause: unknown) => log.warn("Names of services not written", { cause }));
  }

  services.onChange(({ before, after }) => {
    for (const one of [before, after]) if (one) work.add(idOf(one));
    writeHosts();
  });
  pods.onChange(({ before, after }) => {
    for (const pod of [before, after]) {
      if (!pod) continue;
      for (const service of services.list() as Service[]) {
        if (service.metadata.namespace === pod.metadata.namespace && selects(service, pod)) work.add(idOf(service));
      }
    }
  });
  endpoints.onChange(writeHosts);

  return {
    lookup: lookupIn(() => (name) => {
      const service = services.list().find((one) => namesOf(one).includes(name.toLowerCase()));
      const addresses = service && readyAddresses(endpoints.get(keyOf(service)) as Endpoints | undefined);
      if (addresses && addresses.length > 0) return addresses;
      // Nobody outside knows these names: asking would only take time.
      return /\.svc(\.cluster\.local)?\.?$/.test(name) ? [] : undefined;
    }),
    async close() {
      stop.abort();
      await work.close();
      await Promise.all([services.stopped, endpoints.stopped, pods.stopped]);
      await writing;
    },
  };
}

const managedBy = "endpoints.kubernetes.io/managed-by";
const manager = "endpoint-controller";
const isOurs = (object: KubeObject): boolean => object.metadata.labels?.[managedBy] === manager;
