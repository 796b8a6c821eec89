// A node with its API server for tests: in memory objects, real processes, loop devices and mounts.
import { mkdtemp, readFile, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPods, type Pods, type PodsOptions } from "../../../src/embedded/pods/index.ts";
import { startScheduler } from "../../../src/embedded/scheduler/index.ts";
import { startVolumes, type Road, type Volumes } from "../../../src/embedded/volumes/index.ts";
import { kinds } from "../../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../../src/api/meta.ts";
import { kubeletBackoff } from "../../../src/lib/backoff.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { startTestServer, type TestServer } from "../../support/embedded-server.ts";
import type { KubeClient } from "../../../src/kube/index.ts";
import type { ContainerStatus, Pod, PodSpec } from "../../../src/embedded/pods/pod-types.ts";

export const isRoot = process.getuid?.() === 0;

export interface TestNode {
  readonly dir: string;
  readonly client: KubeClient;
  readonly server: TestServer;
  readonly volumes: Volumes;
  readonly pods: Pods;
  /** Stops the node, keeps server and files. */
  stop(): Promise<void>;
  /** Starts it again on the same files. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startTestNode(
  options: Partial<PodsOptions> & { road?: Road; dir?: string } = {},
): Promise<TestNode> {
  const dir = options.dir ?? (await realpath(await mkdtemp(join(tmpdir(), "cdi-node-"))));
  const server = await startTestServer();
  const { client } = server;
  await client.create(
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "local", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "cdi.kubevirt.io/embedded",
      allowVolumeExpansion: true,
      reclaimPolicy: "Delete",
      volumeBindingMode: "Immediate",
    },
    kinds.storageClass,
  );
  const shared = { client, clock: systemClock, log: silentLog };
  const { road } = options;
  const start = async () => {
    const volumes = await startVolumes({ ...shared, dir: join(dir, "volumes"), ...(road ? { road } : {}) });
    const pods = await startPods({
      ...shared,
      volumes,
      nodeName: "embedded",
      appDirs: [],
      images: { sh: ["/bin/sh", "-c"] },
      maxRunning: 10,
      backoff: kubeletBackoff,
      ...options,
      dir: join(dir, "pods"),
      ...(options.pull ? { pull: { ...options.pull, dir: join(dir, "images") } } : {}),
    });
    const scheduler = await startScheduler({ ...shared, nodeName: "embedded" });
    return { volumes, pods, scheduler };
  };
  let parts: Awaited<ReturnType<typeof start>> | undefined = await start();
  const stop = async (): Promise<void> => {
    const ending = parts;
    parts = undefined;
    await ending?.scheduler.close();
    await ending?.pods.close();
    await ending?.volumes.close();
  };
  const running = () => {
    if (!parts) throw new Error("the node is stopped");
    return parts;
  };
  return {
    dir,
    client,
    server,
    get volumes() {
      return running().volumes;
    },
    get pods() {
      return running().pods;
    },
    stop,
    async restart() {
      await stop();
      parts = await start();
    },
    async close() {
      await stop();
      await server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function aPod(name: string, script: string, spec: Partial<PodSpec> = {}): Pod {
  const container = { name: "main", image: "sh", args: [script], securityContext: { runAsUser: 107 } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: {
      restartPolicy: "OnFailure",
      terminationGracePeriodSeconds: 1,
      ...spec,
      containers: [{ ...container, ...spec.containers?.[0] }],
    },
  };
}

export function aClaim(name: string, storage: string, volumeMode: "Filesystem" | "Block"): KubeObject {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, namespace: "default" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage } },
      storageClassName: "local",
      volumeMode,
    },
  };
}

/** Waits by watch. @throws after the limit, with the object's last state */
export async function until<T extends KubeObject>(
  client: KubeClient,
  kind: KindRef,
  name: string,
  met: (object: T | undefined) => boolean,
  limitMs = 20_000,
): Promise<T> {
  const namespace = kind.namespaced ? { namespace: "default" } : {};
  const signal = AbortSignal.timeout(limitMs);
  const list = await client.list(kind, namespace);
  let last = list.items.find(({ metadata }) => metadata.name === name) as T | undefined;
  if (met(last)) return last as T;
  try {
    for await (const { type, object } of client.watch(kind, {
      ...namespace,
      resourceVersion: list.resourceVersion,
      signal,
    })) {
      if (object.metadata.name !== name || type === "BOOKMARK") continue;
      const now = type === "DELETED" ? undefined : (object as T);
      if (met(now)) return (now ?? object) as T;
      last = now;
    }
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
  throw new Error(
    `${kind.kind} ${name} never got there: ${JSON.stringify({ status: last?.["status"], metadata: last?.metadata })}`,
  );
}

export const phase = (wanted: string) => (object: KubeObject | undefined) =>
  (object?.["status"] as { phase?: string } | undefined)?.phase === wanted;
export const gone = (object: KubeObject | undefined): boolean => object === undefined;
export const firstStatus = (pod: Pod | undefined): ContainerStatus | undefined => pod?.status?.containerStatuses?.[0];
export const running = (pod: Pod | undefined): boolean => firstStatus(pod)?.state.running !== undefined;

export const createPod = (node: TestNode, pod: Pod): Promise<KubeObject> => node.client.create(pod, kinds.pod);
export const untilPod = (node: TestNode, name: string, met: (pod: Pod | undefined) => boolean): Promise<Pod> =>
  until<Pod>(node.client, kinds.pod, name, met);

export async function logOf(node: TestNode, name: string, options: object = {}): Promise<string> {
  const { signal } = new AbortController();
  const asked = { follow: false, previous: false, timestamps: false, signal, ...options };
  let text = "";
  for await (const bytes of node.pods.logs.read("default", name, asked)) text += Buffer.from(bytes).toString("utf8");
  return text;
}

/** Loop devices, mounts and processes that have to do with a folder. */
export async function tracesOf(dir: string): Promise<string[]> {
  const traces: string[] = [];
  for (const name of await readdir("/sys/block")) {
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "");
    if (file.startsWith(dir)) traces.push(`loop ${name}`);
  }
  if ((await readFile("/proc/self/mountinfo", "utf8")).includes(dir)) traces.push("mount");
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(dir)) traces.push(`process ${pid} ${line.replaceAll("\0", " ").slice(0, 80)}`);
  }
  return traces;
}

export async function filesUnder(dir: string): Promise<string[]> {
  return readdir(dir, { recursive: true }).catch(() => []);
}
