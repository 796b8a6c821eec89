// Property: whatever the server and the network do, a cache ends equal to the server and misses no change, and a controller
// ends what it was to bring about. From seeds; CDI_TEST_LONG=1 runs many.
import { describe, expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { Key, KubeObject } from "../../../src/api/meta.ts";
import {
  clientNodeClient,
  createApply,
  isConflict,
  runController,
  startCache,
  type Change,
  type KubeClient,
  type Step,
} from "../../../src/kube/index.ts";
import { systemClock, type Clock } from "../../../src/lib/clock.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { startTestServer } from "../../support/embedded-server.ts";
import { startHostileApi, type HostileApi } from "../../support/hostile-api.ts";
import { randomFrom } from "../../support/random-qcow2.ts";

const seeds = Array.from({ length: process.env.CDI_TEST_LONG ? 60 : 4 }, (_, at) => 1000 + at);
const namespace = "default";
const writes = 250;

/** Waiting passes twenty times as fast: the longest back-off is 1.5 s. */
const hurriedClock: Clock = {
  now: () => Date.now() * 20,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
};

const idOf = ({ metadata }: KubeObject): string => `${metadata.uid}@${metadata.resourceVersion}`;
const configMap = (name: string, data: Record<string, string>, of: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace, labels: { of } },
  data,
});

/** Faults that were really met. */
const met = new Set<string>();

/** A world with a bad road to it. */
async function badRoad(seed: number): Promise<{ calmClient: KubeClient; client: KubeClient; hostile: HostileApi }> {
  const server = await startTestServer();
  onTestFinished(() => server.close());
  const hostile = await startHostileApi(server.kubeconfig(), seed);
  onTestFinished(async () => {
    await hostile.close();
    for (const name of hostile.done.keys()) met.add(name);
  });
  const client = clientNodeClient({ text: hostile.kubeconfig });
  onTestFinished(() => client.close());
  return { calmClient: server.client, client, hostile };
}

/** Creates, changes, deletes and makes anew, by chance. Writes straight to the server. */
async function stir(client: KubeClient, seed: number): Promise<void> {
  const next = randomFrom(seed + 7);
  for (let at = 0; at < writes; at += 1) {
    const name = `item-${next(25)}`;
    const ref = { kind: kinds.configMap, namespace, name };
    const data = { at: String(at) };
    const act = next(4);
    if (act === 0) await client.delete(ref);
    else {
      await client.create(configMap(name, data, "source"), kinds.configMap).catch(async (cause: unknown) => {
        if (!isConflict(cause)) throw cause;
        await client.patch(ref, { data }, { type: "merge" });
      });
    }
    // Lets the watches breathe, so that what happens to them falls between the writes.
    if (next(5) === 0) await systemClock.sleep(next(12));
  }
}

const sourcesOf = async (client: KubeClient, of: string): Promise<KubeObject[]> =>
  (await client.list(kinds.configMap, { namespace, labelSelector: `of=${of}` })).items;

describe.each(seeds)("seed %i", (seed) => {
  test("a cache ends as the server, and every change it told follows from the one before", async () => {
    const { calmClient, client, hostile } = await badRoad(seed);
    for (let at = 0; at < 20; at += 1) {
      await calmClient.create(configMap(`first-${at}`, {}, "source"), kinds.configMap);
    }
    const stop = new AbortController();
    const cache = startCache(
      { client, kind: kinds.configMap, clock: hurriedClock, log: silentLog, namespace, labelSelector: "of=source" },
      stop.signal,
    );
    onTestFinished(async () => {
      stop.abort();
      await cache.stopped;
    });
    const told = new Map<string, KubeObject>();
    const broken: string[] = [];
    cache.onChange(({ before, after }: Change) => {
      const { name = "" } = ((after ?? before) as KubeObject).metadata;
      const known = told.get(name);
      if ((known && idOf(known)) !== (before && idOf(before))) broken.push(name);
      if (after) told.set(name, after);
      else told.delete(name);
    });
    await stir(calmClient, seed);
    hostile.calm();
    const wanted = (await sourcesOf(calmClient, "source")).map(idOf).toSorted();
    await expect.poll(() => cache.list().map(idOf).toSorted(), { timeout: 20_000 }).toEqual(wanted);
    expect([...told.values()].map(idOf).toSorted()).toEqual(wanted);
    expect(broken).toEqual([]);
  });

  test("a controller brings about what it is for, though its writes are refused, lost and told twice", async () => {
    const { calmClient, client, hostile } = await badRoad(seed + 1);
    const stop = new AbortController();
    const cacheOf = (of: string) =>
      startCache(
        { client, kind: kinds.configMap, clock: hurriedClock, log: silentLog, namespace, labelSelector: `of=${of}` },
        stop.signal,
      );
    const sources = cacheOf("source");
    const copies = cacheOf("copy");
    await Promise.all([sources.synced(), copies.synced()]);
    const toKeys = ({ metadata }: KubeObject): Key[] => [
      { namespace, name: (metadata.name ?? "").replace(/^copy-/, "") },
    ];
    const controller = runController(
      {
        name: "copying",
        watches: [
          { cache: sources, toKeys },
          { cache: copies, toKeys },
        ],
        reconcile: ({ name }) => ({ steps: stepsFor(name, sources.get({ namespace, name }), copies) }),
      },
      {
        apply: createApply({ client, clock: hurriedClock, component: "test" }),
        clock: hurriedClock,
        log: silentLog,
        workers: 4,
      },
    );
    onTestFinished(async () => {
      stop.abort();
      await controller.close();
      await Promise.all([sources.stopped, copies.stopped]);
    });
    await stir(calmClient, seed);
    hostile.calm();
    const shown = (objects: KubeObject[]): string[] =>
      objects.map(({ metadata, data }) => `${metadata.name?.replace(/^copy-/, "")} ${JSON.stringify(data)}`).toSorted();
    const wanted = shown(await sourcesOf(calmClient, "source"));
    await expect.poll(async () => shown(await sourcesOf(calmClient, "copy")), { timeout: 20_000 }).toEqual(wanted);
  });
});

function stepsFor(
  name: string,
  source: KubeObject | undefined,
  copies: { get(key: Key): KubeObject | undefined },
): Step[] {
  const copy = copies.get({ namespace, name: `copy-${name}` });
  const ref = { kind: kinds.configMap, namespace, name: `copy-${name}` };
  if (!source) return copy ? [{ do: "delete", ref, uid: copy.metadata.uid ?? "" }] : [];
  const data = source.data as Record<string, string>;
  if (!copy) return [{ do: "create", kind: kinds.configMap, object: configMap(`copy-${name}`, data, "copy") }];
  if (JSON.stringify(copy.data) === JSON.stringify(data)) return [];
  return [{ do: "patch", ref, body: { data }, resourceVersion: copy.metadata.resourceVersion ?? "" }];
}

test("every kind of fault was met", () => {
  expect([...met].toSorted()).toEqual([
    "answer cut",
    "answer lost",
    "broken",
    "compacted",
    "cut in a line",
    "delayed",
    "dropped",
    "ended",
    "repeated",
    "reset",
    "throttled",
    "token expired",
    "too old",
    "unavailable",
  ]);
});
