// The informer of @kubernetes/client-node, as others use it, against a server that restarts every 20 s: it misses nothing.
// Two minutes; half an hour with CDI_TEST_LONG=1.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { isAlreadyExists } from "../../../src/kube/index.ts";
import { startTestServer, type TestServer } from "../../support/embedded-server.ts";
import { randomFrom } from "../../support/random-qcow2.ts";

const restarts = process.env.CDI_TEST_LONG ? 90 : 6;
const restartEveryMs = 20_000;
const namespace = "default";
const seed = 20;

/** One server after the other, on one port and one store. */
async function restartingServer(): Promise<{ server(): TestServer; restart(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "cdi-informer-"));
  const start = (port: number): Promise<TestServer> => startTestServer({ dir, storeDir: join(dir, "store"), port });
  let current = await start(0);
  const port = Number(new URL(current.url).port);
  onTestFinished(async () => {
    await current.close();
    await rm(dir, { recursive: true });
  });
  return {
    server: () => current,
    async restart() {
      await current.close();
      current = await start(port);
    },
  };
}

/** Everything the informer told, folded: what its user believes there is. */
function follow(kubeconfig: string) {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const informer = makeInformer<V1ConfigMap>(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  const believed = new Map<string, V1ConfigMap>();
  const told = { adds: 0, deletes: 0, errors: 0 };
  const stop = new AbortController();
  informer.on("add", (object) => {
    told.adds += 1;
    believed.set(object.metadata?.name ?? "", object);
  });
  informer.on("update", (object) => believed.set(object.metadata?.name ?? "", object));
  informer.on("delete", (object) => {
    told.deletes += 1;
    believed.delete(object.metadata?.name ?? "");
  });
  // It stops on errors; its users start it again, as its documentation shows.
  informer.on("error", () => {
    told.errors += 1;
    systemClock.sleep(100, stop.signal).then(
      () => informer.start(),
      () => undefined, // the test is over
    );
  });
  return {
    informer,
    told,
    versions: (): string[] => [...believed.values()].map(shown).toSorted(),
    async close() {
      stop.abort();
      await informer.stop();
    },
  };
}

const shown = ({ metadata }: { metadata?: { name?: string; uid?: string; resourceVersion?: string } }): string =>
  `${metadata?.name} ${metadata?.uid}@${metadata?.resourceVersion}`;

test(
  `an informer through ${restarts} restarts believes what is true, each time`,
  async () => {
    const world = await restartingServer();
    const following = follow(world.server().kubeconfig());
    onTestFinished(() => following.close());
    await following.informer.start();
    const next = randomFrom(seed);
    const write = async (at: number): Promise<void> => {
      const { client } = world.server();
      const ref = { kind: kinds.configMap, namespace, name: `item-${next(40)}` };
      const data = { at: String(at) };
      if (next(4) === 0) return await client.delete(ref);
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: ref.name, namespace }, data };
      await client.create(object, kinds.configMap).catch(async (cause: unknown) => {
        if (!isAlreadyExists(cause)) throw cause;
        await client.patch(ref, { data }, { type: "merge" });
      });
    };
    const truth = async (): Promise<string[]> =>
      (await world.server().client.list(kinds.configMap, { namespace })).items.map(shown).toSorted();
    let at = 0;
    for (let restart = 0; restart < restarts; restart += 1) {
      const endMs = Date.now() + restartEveryMs;
      while (Date.now() < endMs) {
        await write((at += 1));
        await systemClock.sleep(50);
      }
      const wanted = await truth();
      await expect.poll(following.versions, { timeout: 15_000 }).toEqual(wanted);
      // Written and not yet told when the server goes: what is lost here would be missed.
      for (let hurried = 0; hurried < 5; hurried += 1) await write((at += 1));
      await world.restart();
      for (let hurried = 0; hurried < 5; hurried += 1) await write((at += 1));
    }
    const wanted = await truth();
    await expect.poll(following.versions, { timeout: 15_000 }).toEqual(wanted);
    // As many came as are there and went.
    expect(following.told.adds - following.told.deletes).toBe(wanted.length);
    expect(following.told.errors).toBeGreaterThanOrEqual(restarts / 2);
  },
  restarts * (restartEveryMs + 20_000),
);
