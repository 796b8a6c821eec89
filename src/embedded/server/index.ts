// Door of the API server of embedded mode: a Kubernetes-shaped server over a store, on TLS and in process.
import type { IncomingMessage, ServerResponse } from "node:http";
import { kinds } from "../../api/kinds.ts";
import { isAlreadyExists, type KubeClient } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { Store } from "../store/index.ts";
import type { AdmissionHook, PodLogs } from "../types.ts";
import { ensureAuthenticationMap } from "./aggregation/authentication-map.ts";
import { startAggregation } from "./aggregation/index.ts";
import { accountTokens } from "./auth/account-tokens.ts";
import { startRoleAggregation } from "./auth/aggregate-roles.ts";
import { ensureRoles } from "./auth/default-roles.ts";
import { accountGroups, accountUsername } from "./auth/user.ts";
import { inProcessClient } from "./client.ts";
import { startContentCleanup } from "./content-cleanup.ts";
import { issueClient, kubeconfigFor, openCredentials } from "./credentials.ts";
import { startEventExpiry } from "./event-expiry.ts";
import { startGarbageCollector } from "./garbage-collector.ts";
import { startQuotaStatus } from "./quota/status.ts";
import { listen } from "./https.ts";
import { startNamespaceContents } from "./namespace-contents.ts";
import { openRegistry } from "./registry.ts";
import { route } from "./routes.ts";
import type { World } from "./world.ts";

export interface ServerOptions {
  /** Closed by its opener, after the server. */
  store: Store;
  /** Certificates and keys live here (0700). */
  dir: string;
  /** 0: any free one. @default 0 */
  port?: number;
  clock: Clock;
  log: Log;
  /** Without it pods have no logs (404). */
  logs?: PodLogs;
  admission?: readonly AdmissionHook[];
}

export interface EmbeddedServer {
  readonly url: string;
  /** In process, with the same semantics. Objects it hands out are frozen. */
  readonly client: KubeClient;
  /** YAML, with the administrator's client certificate. */
  kubeconfig(): string;
  /** YAML, with the rights of a ServiceAccount and no more. */
  kubeconfigOf(namespace: string, account: string): Promise<string>;
  /** Ends watches and connections, and waits for the background work. */
  close(): Promise<void>;
}

const firstNamespaces = ["default", "kube-system", "kube-public", "cdi"];

/** @throws when the port is taken */
export async function startServer(options: ServerOptions): Promise<EmbeddedServer> {
  const { store, dir, port = 0, clock, log, logs, admission = [] } = options;
  const credentials = await openCredentials(dir, clock);
  const registry = openRegistry(store, log);
  const world: World = { store, registry, clock, log, admission };
  const client = inProcessClient(world);
  for (const name of firstNamespaces) await ensureNamespace(client, name);
  await ensureRoles(client);
  await ensureAuthenticationMap(client, credentials);
  const stop = new AbortController();
  let address = "";
  const tokens = accountTokens(store, credentials.accounts, clock);
  const aggregation = startAggregation(world, client, credentials.frontProxy);
  const routing = { world, logs, tokens, aggregation, address: () => address, signal: stop.signal };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    route(routing, request, response).catch((cause: unknown) => {
      log.error("Request could not be answered", { cause });
      response.destroy();
    });
  };
  const listener = await listen(credentials, port, serve).catch(async (cause: unknown) => {
    await aggregation.close();
    registry.close();
    throw cause;
  });
  const background = [
    startGarbageCollector(world),
    startContentCleanup(world),
    startEventExpiry(world),
    startQuotaStatus(world),
    startRoleAggregation(world),
    startNamespaceContents(world, credentials.authority.certificate),
    aggregation,
  ];
  address = `127.0.0.1:${listener.port}`;
  const url = `https://${address}`;
  return {
    url,
    client,
    kubeconfig: () => kubeconfigFor(url, credentials, credentials.admin),
    async kubeconfigOf(namespace, account) {
      const user = { username: accountUsername(namespace, account), groups: accountGroups(namespace) };
      return kubeconfigFor(url, credentials, await issueClient(credentials, user, clock));
    },
    async close() {
      stop.abort();
      await listener.close();
      for (const one of background) await one.close();
      registry.close();
    },
  };
}

async function ensureNamespace(client: KubeClient, name: string): Promise<void> {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
  await client.create(namespace, kinds.namespace).catch((cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause;
  });
}
