// Bench: 50 DataVolumes at once, at most two importers running. The controllers run outside, over HTTPS, as on a cluster.
// Prints and stores: created-to-pod and exited-to-Succeeded (p50, p99, ms), the controller's RssAnon peak, wall seconds.
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { kinds } from "../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../src/api/meta.ts";
import { importerImage, startEmbedded } from "../src/embedded/index.ts";
import { systemClock } from "../src/lib/clock.ts";
import { silentLog } from "../src/lib/log.ts";
import { checkout, removeDir, temporaryDir } from "../test/support/cdi-up.ts";

const count = 50;
const maxRunning = 2;
const imageBytes = 4 * 1024 * 1024;

const image = Buffer.alloc(imageBytes, "one of fifty ");
const server = createServer((request, response) => {
  const head = { "content-length": imageBytes, "accept-ranges": "bytes", etag: '"1"' };
  if (request.headers.range)
    response.writeHead(206, { ...head, "content-range": `bytes 0-${imageBytes - 1}/${imageBytes}` });
  else response.writeHead(200, head);
  response.end(image);
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", () => done()));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`;

const dir = await temporaryDir();
const embedded = await startEmbedded({
  dir,
  appDir: checkout,
  maxRunning,
  withoutControllers: true,
  clock: systemClock,
  log: silentLog,
});
const kubeconfig = join(dir, "kubeconfig");
await writeFile(kubeconfig, embedded.kubeconfig, { mode: 0o600 });
const controller = spawn(process.execPath, [join(checkout, "dist", "controller.js")], {
  env: { ...process.env, KUBECONFIG: kubeconfig, IMPORTER_IMAGE: importerImage, PULL_POLICY: "IfNotPresent" },
  stdio: "ignore",
});

const created = new Map<string, number>();
const podSeen = new Map<string, number>();
const exited = new Map<string, number>();
const succeeded = new Map<string, number>();
let rssAnonPeakKib = 0;
let mostRunning = 0;
const running = new Set<string>();
const stop = new AbortController();
const all = Promise.withResolvers<void>();
const warm = Promise.withResolvers<void>();

const onPod = (pod: KubeObject): void => {
  const name = (pod.metadata.name ?? "").replace(/^importer-/, "");
  if (!podSeen.has(name)) podSeen.set(name, performance.now());
  const status = pod.status as
    | { phase?: string; containerStatuses?: { state: { terminated?: { exitCode: number }; running?: object } }[] }
    | undefined;
  const state = status?.containerStatuses?.[0]?.state;
  if (state?.running) running.add(name);
  else running.delete(name);
  mostRunning = Math.max(mostRunning, running.size);
  if (state?.terminated?.exitCode === 0 && !exited.has(name)) exited.set(name, performance.now());
};
const onDataVolume = (dataVolume: KubeObject): void => {
  const name = dataVolume.metadata.name ?? "";
  const { phase } = (dataVolume.status ?? {}) as { phase?: string };
  if (phase === "Succeeded" && !succeeded.has(name)) succeeded.set(name, performance.now());
  if (phase === "Failed") all.reject(new Error(`${name} failed: ${JSON.stringify(dataVolume.status)}`));
  if (succeeded.has("warm-up")) warm.resolve();
  if (succeeded.size === count) all.resolve();
};
const watch = async (kind: KindRef, see: (object: KubeObject) => void): Promise<void> => {
  const { resourceVersion } = await embedded.client.list(kind);
  for await (const event of embedded.client.watch(kind, { resourceVersion, signal: stop.signal })) {
    if (event.type === "ADDED" || event.type === "MODIFIED") see(event.object);
  }
};
const watching = [watch(kinds.pod, onPod), watch(kinds.dataVolume, onDataVolume)];
const sampling = setInterval(() => {
  readFile(`/proc/${controller.pid}/status`, "utf8").then(
    (text) => (rssAnonPeakKib = Math.max(rssAnonPeakKib, Number(/RssAnon:\s+(\d+)/.exec(text)?.[1] ?? 0))),
    () => clearInterval(sampling),
  );
}, 100);

const spec = {
  source: { http: { url } },
  pvc: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "64Mi" } } },
};
const create = async (name: string): Promise<void> => {
  created.set(name, performance.now());
  const { apiVersion, kind } = kinds.dataVolume;
  await embedded.client.create({ apiVersion, kind, metadata: { name, namespace: "default" }, spec }, kinds.dataVolume);
};
// One alone first: its success says that the controller is up.
const warmUp = "warm-up";
await create(warmUp);
await warm.promise;
created.delete(warmUp);
succeeded.delete(warmUp);
exited.delete(warmUp);
const begun = performance.now();
await Promise.all(Array.from({ length: count }, (_, index) => create(`fifty-${index}`)));
const deadline = setTimeout(
  () => all.reject(new Error(`after 10 min only ${succeeded.size} of ${count} succeeded`)),
  600_000,
);
try {
  await all.promise;
} finally {
  clearTimeout(deadline);
  clearInterval(sampling);
  stop.abort();
  await Promise.allSettled(watching);
  const ended = new Promise((done) => controller.once("exit", done));
  controller.kill("SIGTERM");
  await ended;
  await embedded.close();
  server.close();
  await removeDir(dir);
}

const spans = (from: Map<string, number>, to: Map<string, number>): number[] =>
  [...from].map(([name, at]) => (to.get(name) ?? Number.NaN) - at).toSorted((a, b) => a - b);
const rank = (sorted: number[], share: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN);
const createdToPod = spans(created, podSeen);
const exitedToSucceeded = spans(exited, succeeded);
const figures = {
  bench: "fifty-data-volumes",
  count,
  succeeded: succeeded.size,
  mostRunning,
  wallSeconds: Math.round((Math.max(...succeeded.values()) - begun) / 100) / 10,
  createdToPodMs: { p50: rank(createdToPod, 0.5), p99: rank(createdToPod, 0.99) },
  exitedToSucceededMs: { p50: rank(exitedToSucceeded, 0.5), p99: rank(exitedToSucceeded, 0.99) },
  controllerRssAnonMiB: Math.round(rssAnonPeakKib / 102.4) / 10,
};
await writeFile(
  join(checkout, ".cache", "bench", "fifty-data-volumes.json"),
  `${JSON.stringify(figures, undefined, 2)}\n`,
);
console.table({
  ...figures,
  createdToPodMs: JSON.stringify(figures.createdToPodMs),
  exitedToSucceededMs: JSON.stringify(figures.exitedToSucceededMs),
});
