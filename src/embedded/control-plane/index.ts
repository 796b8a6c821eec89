// The installation's two programs that serve, run in this process as the controllers are: the aggregated API server and the upload
// proxy. They start once the controllers have made their certificates, and speak to the API server over the wire.
import { setMaxListeners } from "node:events";
import type { LookupFunction } from "node:net";
import { signingKeyIn, startApiServer, type ApiServer } from "../../apiserver/index.ts";
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import type { ConfigMap, KubeSecret } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { bundleKey, services, signers } from "../../contract/install-names.ts";
import { startCache, type Cache, type KubeClient } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { startUploadProxy, type UploadProxy } from "../../../uploadproxy/index.ts";
import { lead, register } from "./objects.ts";

export interface ControlPlaneOptions {
  /** What an administrator or the kubelet does: Services, the registration, mounted Secrets, the published address. */
  admin: KubeClient;
  /** Of the API server's own account. */
  api: KubeClient;
  /** Of the upload proxy's own account. */
  proxy: KubeClient;
  namespace: string;
  /** Names of Services. */
  lookup: LookupFunction;
  clock: Clock;
  log: Log;
}

export interface ControlPlane {
  /** Where uploads go in; rejects when closed before. */
  readonly uploadUrl: Promise<string>;
  close(): Promise<void>;
}

const host = "127.0.0.1";
/** Names of this machine the proxy's certificate bears. */
export const uploadProxyNames = { dnsNames: ["localhost"], ips: [host] };

/** Returns at once: nothing but uploads waits for these programs. */
export function startControlPlane(options: ControlPlaneOptions): ControlPlane {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const running: { close(): Promise<unknown> }[] = [];
  const uploadUrl = run(options, running, stop.signal);
  uploadUrl.catch((cause: unknown) => {
    if (!stop.signal.aborted) options.log.error("Uploads are not served", { cause });
  });
  return {
    uploadUrl,
    async close() {
      stop.abort(new Error("the control plane is closed"));
      await uploadUrl.catch(() => undefined); // told above
      for (const one of running.splice(0).reverse()) await one.close();
    },
  };
}

async function run(
  { admin, namespace, lookup, clock, log, ...clients }: ControlPlaneOptions,
  running: { close(): Promise<unknown> }[],
  signal: AbortSignal,
): Promise<string> {
  const end = new AbortController();
  const secrets = startCache({ client: admin, kind: kinds.secret, namespace, clock, log }, end.signal);
  running.push({
    async close() {
      end.abort();
      await secrets.stopped;
    },
  });
  await secrets.synced();
  await register(admin, namespace);
  const pair = (name: string): Promise<LivePair> => livePair(secrets, namespace, name, signal);

  const certificate = await pair(signers.api.leaf);
  const api: ApiServer = await startApiServer({
    client: clients.api,
    namespace,
    host,
    port: 0,
    certificate,
    clock,
    log,
  });
  running.push(api);
  certificate.onChange(() => api.renew(certificate.texts), log);
  await lead(admin, namespace, services.api, host, api.port);

  const { publicKey } = await signingKeyIn(clients.api, namespace);
  const [serving, identity] = [await pair(signers.uploadProxy.leaf), await pair(signers.uploadClient.leaf)];
  const start = (port: number): Promise<UploadProxy> =>
    startUploadProxy({
      client: clients.proxy,
      namespace,
      host,
      port,
      publicKey,
      serving,
      identity,
      lookup,
      clock,
      log,
    });
  const proxy = await startWhereItWas(admin, start);
  running.push(proxy);
  serving.onChange(() => {
    proxy.renew();
    publish(admin, namespace, proxy.port).catch((cause: unknown) => {
      log.error("Cannot say in CDIConfig who signs the upload proxy's certificate", { cause });
    });
  }, log);
  await lead(admin, namespace, services.uploadProxy, host, proxy.port);
  return publish(admin, namespace, proxy.port);
}

const urlAt = (port: number): string => `https://${host}:${port}`;
/** One that we wrote: an administrator's own is another. */
const ours = new RegExp(`^https://${host.replaceAll(".", "\\.")}:(\\d+)$`);

const configOf = async (client: KubeClient): Promise<CdiConfig | undefined> =>
  (await client.get({ kind: kinds.cdiConfig, name: cdiConfigName })) as CdiConfig | undefined;

/** Clients may have noted the address of an earlier run. */
async function startWhereItWas(
  client: KubeClient,
  start: (port: number) => Promise<UploadProxy>,
): Promise<UploadProxy> {
  const before = ours.exec((await configOf(client))?.spec.uploadProxyURLOverride ?? "")?.[1];
  if (before === undefined) return start(0);
  return start(Number(before)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EADDRINUSE") throw cause;
    return start(0);
  });
}

/** Says in CDIConfig where the proxy is and who signs its certificate, unless somebody has said something else. */
async function publish(client: KubeClient, namespace: string, port: number): Promise<string> {
  const url = urlAt(port);
  const override = (await configOf(client))?.spec.uploadProxyURLOverride;
  if (!override || ours.test(override)) {
    const ref = { kind: kinds.cdiConfig, name: cdiConfigName };
    const bundle = { kind: kinds.configMap, namespace, name: signers.uploadProxy.bundle };
    const uploadProxyCA = ((await client.get(bundle)) as ConfigMap | undefined)?.data?.[bundleKey] ?? null;
    const body = { spec: { uploadProxyURLOverride: url }, status: { uploadProxyCA } };
    await client.patch(ref, body, { type: "merge" });
  }
  return url;
}

interface LivePair {
  /** Certificate and key, PEM, as they are now. */
  readonly texts: readonly string[];
  /** Its failure is logged: the former pair stays in use. */
  onChange(handler: () => void, log: Log): void;
}

/** Resolves once the Secret is there. */
async function livePair(secrets: Cache, namespace: string, name: string, signal: AbortSignal): Promise<LivePair> {
  let texts: readonly string[] = [];
  let changed: () => void = () => undefined;
  const first = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => first.reject(signal.reason as Error), { once: true });
  const take = (secret: KubeSecret | undefined): void => {
    const now = ["tls.crt", "tls.key"].map((key) => Buffer.from(secret?.data?.[key] ?? "", "base64").toString("utf8"));
    if (now.includes("") || now.every((text, at) => text === texts[at])) return;
    texts = now;
    first.resolve();
    changed();
  };
  secrets.onChange(({ after }) => {
    if (after?.metadata.name === name && after.metadata.namespace === namespace) take(after as KubeSecret);
  });
  await first.promise;
  return {
    get texts() {
      return texts;
    },
    onChange(handler, log) {
      changed = () => {
        try {
          handler();
        } catch (cause) {
          log.error("Keeping the former certificate", { secret: name, cause });
        }
      };
    },
  };
}
