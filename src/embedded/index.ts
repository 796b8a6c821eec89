// A cluster in one process (design.md section 5): API server, one node, volumes and the controllers, wired together.
// The controllers speak HTTPS to the server, as they would to any other; only the node uses the in-process client.
import { nodePull } from "../contract/node-pull.ts";
import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { startControllers } from "../controllers/index.ts";
import { clientNodeClient, type KubeClient } from "../kube/index.ts";
import { apiServerName, controllerAccount, uploadProxyName } from "../operator/index.ts";
import { kubeletBackoff, type BackoffShape } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { admission } from "./admission.ts";
import { startControlPlane, uploadProxyNames } from "./control-plane/index.ts";
import { startPods } from "./pods/index.ts";
import { startScheduler } from "./scheduler/index.ts";
import { grantRights } from "./rights.ts";
import { seed } from "./seed.ts";
import { startServer, type EmbeddedServer } from "./server/index.ts";
import { startServices, type Services } from "./services/index.ts";
import { openStore } from "./store/index.ts";
import type { PodLogs } from "./types.ts";
import { startVolumes } from "./volumes/index.ts";
import { makeLog } from "../telemetry/index.ts";

export { defaultClass } from "./seed.ts";

export const nodeName = "embedded";
export const importerImage = "cdi-importer:embedded";
export const uploadServerImage = "cdi-uploadserver:embedded";
export const cdiNamespace = "cdi";

export interface EmbeddedOptions {
  /** Everything that outlives the process: store, certificates, volumes. Created if absent. */
  dir: string;
  /** The checkout or installed package: holds dist/ and node_modules/. */
  appDir: string;
  /** 0 or absent: any free port. */
  port?: number;
  /** Pods that run at once; others wait. */
  maxRunning: number;
  /** Container restarts; the kubelet's own by default. */
  backoff?: BackoffShape;
  /** False: pods run without their memory limits. Default true, where the machine has memory cgroups for us. */
  memoryLimits?: boolean;
  /** Leave the controllers to another process (programs/controller). */
  withoutControllers?: boolean;
  /** Leave what serves uploads to others, too. */
  withoutControlPlane?: boolean;
  /** Image names beside the data programs', and the program in dist/ that each runs. */
  images?: Readonly<Record<string, string>>;
  clock: Clock;
  log: Log;
}

export interface Embedded {
  readonly url: string;
  /** Admin's kubeconfig, YAML. */
  readonly kubeconfig: string;
  /** In process, same semantics as over the wire. */
  readonly client: KubeClient;
  /** Where uploads go in: of the proxy in this process, once it serves. Rejects when closed before. */
  readonly uploadUrl: Promise<string>;
  /** Stops everything; nothing outlives it. Volumes and objects stay on disk. */
  close(): Promise<void>;
}

/** The log of a cluster in one process, JSON lines on stderr; at verbosity 0 only what went wrong, for it shares a terminal. */
export function embeddedLog(verbosity: number): Log {
  const log = makeLog({ name: "cdi-up", verbosity });
  return verbosity > 0 ? log : quiet(log);
}
const quiet = (log: Log): Log => ({
  debug: () => undefined,
  info: () => undefined,
  warn: (message, facts) => log.warn(message, facts),
  error: (message, facts) => log.error(message, facts),
  with: (facts) => quiet(log.with(facts)),
});

/** @throws Error when the folder is in use by another instance */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { dir, clock, log } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const running: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    for (const one of running.splice(0).reverse()) await one.close();
  };
  try {
    const store = await openStore({ dir: join(dir, "store") });
    running.push(store);
    // The server needs the node's logs, the node needs the server: the node is filled in below.
    const node: { logs?: PodLogs } = {};
    const logs: PodLogs = {
      read(...about) {
        if (!node.logs) throw new Error("the node has not started yet");
        return node.logs.read(...about);
      },
    };
    const serverDir = join(dir, "server");
    const server = await startServer({
      store,
      dir: serverDir,
      port: options.port ?? 0,
      clock,
      log: log.with({ room: "server" }),
      logs,
      admission,
    });
    running.push(server);
    await seed(server.client);
    await grantRights(server.client, cdiNamespace);
    const hostsFile = join(dir, "hosts");
    const services = await startServices({
      client: server.client,
      hostsFile,
      clock,
      log: log.with({ room: "services" }),
    });
    running.push(services);
    await startNode(server.client, { ...options, hostsFile }, running, node);
    if (!options.withoutControllers) running.push(await controllersOver(server, options));
    const { uploadUrl } = options.withoutControlPlane
      ? { uploadUrl: nowhere() }
      : await serveOver(server, services, options, running);
    return { url: server.url, kubeconfig: server.kubeconfig(), client: server.client, uploadUrl, close };
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function startNode(
  client: KubeClient,
  options: EmbeddedOptions & { hostsFile: string },
  running: { close(): Promise<void> }[],
  node: { logs?: PodLogs },
): Promise<void> {
  const { dir, appDir, clock, maxRunning } = options;
  const log = options.log.with({ room: "node" });
  const volumes = await startVolumes({ client, dir: join(dir, "volumes"), clock, log });
  running.push(volumes);
  const images = {
    [importerImage]: "importer.js",
    [uploadServerImage]: "uploadserver.js",
    // By the path it has in the importer image.
    [nodePull.program]: "containerimage-server.mjs",
    ...options.images,
  };
  const program = (name: string): string[] => [process.execPath, "--enable-source-maps", join(appDir, "dist", name)];
  const pods = await startPods({
    client,
    volumes,
    dir: join(dir, "pods"),
    nodeName,
    appDirs: [appDir],
    images: Object.fromEntries(Object.entries(images).map(([image, name]) => [image, program(name)])),
    pull: { puller: program("imagepull.js"), dir: join(dir, "images") },
    maxRunning,
    memoryLimits: options.memoryLimits ?? true,
    backoff: options.backoff ?? kubeletBackoff,
    hostsFile: options.hostsFile,
    clock,
    log,
  });
  running.push(pods);
  node.logs = pods.logs;
  running.push(await startScheduler({ client, nodeName, clock, log }));
}

async function serveOver(
  server: EmbeddedServer,
  { lookup }: Services,
  { clock, log }: EmbeddedOptions,
  running: { close(): Promise<void> }[],
): Promise<{ uploadUrl: Promise<string> }> {
  const [api, proxy] = [await clientAs(server, apiServerName), await clientAs(server, uploadProxyName)];
  const plane = startControlPlane({
    admin: server.client,
    api,
    proxy,
    namespace: cdiNamespace,
    lookup,
    clock,
    log: log.with({ room: "control-plane" }),
  });
  running.push({
    async close() {
      await plane.close();
      api.close();
      proxy.close();
    },
  });
  return plane;
}

function nowhere(): Promise<string> {
  const never = Promise.reject<string>(new Error("uploads are left to others"));
  never.catch(() => undefined); // who asks is told
  return never;
}

/** With the rights an installation's programs have, so that what they lack shows here first. */
const clientAs = async (server: EmbeddedServer, account: string) =>
  clientNodeClient({ text: await server.kubeconfigOf(cdiNamespace, account) });

async function controllersOver(
  server: EmbeddedServer,
  { clock, log }: EmbeddedOptions,
): Promise<{ close(): Promise<void> }> {
  const stop = new AbortController();
  const client = await clientAs(server, controllerAccount);
  const controllers = await startControllers({
    client,
    clock,
    log: log.with({ room: "controllers" }),
    // Its pods and its users' sample servers live on the loopback.
    options: {
      cdiNamespace,
      importerImage,
      uploadServerImage,
      pullPolicy: "IfNotPresent",
      verbosity: 1,
      addressRules: "allow:loopback",
      uploadProxyNames,
    },
    signal: stop.signal,
  });
  return {
    async close() {
      stop.abort();
      await controllers.close();
    },
  };
}
