// The adapter from KubeClient to a cluster: credentials and server from @kubernetes/client-node's KubeConfig, requests and
// watches over node:https. client-node's own watch ends after 30 s and drops lines it cannot parse, so it is not used.
import { Agent } from "node:https";
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { exchange, refusalOf, textOf, type Call } from "./http-calls.ts";
import { jsonLines } from "./json-lines.ts";
import { collectionPath, listQuery, objectPath, queryOf } from "./paths.ts";
import { isNotFound, KubeError, type KubeList, type PatchKind, type WatchEvent } from "./types.ts";
import type { KubeClient } from "./client.ts";
import type { KubeObject } from "../api/meta.ts";

/** Where the credentials come from: a kubeconfig file, its text, or the service account mounted in a pod. */
export type ClusterAccess = { kubeconfig: string } | { text: string } | { inCluster: true };

const answerTimeoutMs = 30_000;
/** The server ends a watch itself after this long; a fresh one costs little and heals what went wrong unseen. */
const watchSeconds = 600;
/** Servers send a bookmark a minute. A watch that is still for longer may be a connection whose other end is gone. */
const stillWatchMs = 180_000;

const patchTypes: Record<PatchKind, string> = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
};

function loadConfig(access: ClusterAccess): KubeConfig {
  const config = new KubeConfig();
  if ("kubeconfig" in access) config.loadFromFile(access.kubeconfig);
  else if ("text" in access) config.loadFromString(access.text);
  else config.loadFromCluster();
  return config;
}

/** @returns the old one where the new one is being written just now */
function reloaded(access: ClusterAccess, old: KubeConfig): KubeConfig {
  try {
    const fresh = loadConfig(access);
    return fresh.getCurrentCluster() ? fresh : old;
  } catch (cause) {
    // The refusal that led here is told again, with the old credentials.
    if (cause instanceof Error) return old;
    throw cause;
  }
}

/** @throws Error when the kubeconfig cannot be read or names no cluster */
export function clientNodeClient(access: ClusterAccess): KubeClient & { close(): void } {
  let config = loadConfig(access);
  if (!config.getCurrentCluster()) throw new Error("the kubeconfig's current context names no cluster");
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 32 });

  async function callOnce(what: Omit<Call, "timeoutMs">, timeoutMs: number) {
    const cluster = config.getCurrentCluster();
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    // Through a proxy client-node's agent is needed; ours else, because it keeps connections.
    if (!cluster?.proxyUrl && cluster?.server.startsWith("https:")) options.agent = agent;
    return exchange(cluster?.server ?? "", options, { ...what, timeoutMs });
  }
  /** A token that expired, or a certificate that was renewed, is read anew from where the credentials come from, once. */
  async function call(what: Omit<Call, "timeoutMs">, timeoutMs = answerTimeoutMs) {
    try {
      return await callOnce(what, timeoutMs);
    } catch (cause) {
      if (!(cause instanceof KubeError && cause.status === 401)) throw cause;
      config = reloaded(access, config);
      // The agent keeps connections apart by certificate, so another one needs no other agent.
      return await callOnce(what, timeoutMs);
    }
  }
  async function callForJson<T>(what: Omit<Call, "timeoutMs">): Promise<T> {
    const text = await textOf(await call(what));
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new KubeError(0, "BadAnswer", `${what.method} ${what.path}: the answer is not JSON`, { cause });
    }
  }

  return {
    async get(ref) {
      return callForJson<KubeObject>({ method: "GET", path: objectPath(ref) }).catch((cause: unknown) => {
        if (isNotFound(cause)) return undefined;
        throw cause;
      });
    },
    async list(kind, options = {}) {
      const path = collectionPath(kind, options.namespace) + queryOf(listQuery(options));
      const answer = await callForJson<{
        metadata: { resourceVersion?: string; continue?: string };
        items?: KubeObject[];
      }>({
        method: "GET",
        path,
      });
      // Items of a list carry no kind of their own.
      const items = (answer.items ?? []).map((item) => ({ ...item, apiVersion: kind.apiVersion, kind: kind.kind }));
      const list: KubeList = { resourceVersion: answer.metadata.resourceVersion ?? "", items };
      return answer.metadata.continue ? { ...list, continue: answer.metadata.continue } : list;
    },
    async *watch(kind, options) {
      const query = queryOf({
        ...listQuery(options),
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: options.resourceVersion,
        timeoutSeconds: watchSeconds,
      });
      try {
        const path = collectionPath(kind, options.namespace) + query;
        const answer = await call({ method: "GET", path, signal: options.signal }, stillWatchMs);
        for await (const line of jsonLines(answer)) yield watchEventOf(line, path);
      } catch (cause) {
        if (!options.signal.aborted) throw cause;
      }
    },
    create: (object, kind, options = {}) =>
      callForJson<KubeObject>({
        method: "POST",
        path: collectionPath(kind, object.metadata.namespace) + (options.subresource ? `/${options.subresource}` : ""),
        body: object,
      }),
    update: (object, kind, options = {}) =>
      callForJson<KubeObject>({
        method: "PUT",
        path: objectPath(
          {
            kind,
            name: object.metadata.name ?? "",
            ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
          },
          options.subresource,
        ),
        body: object,
      }),
    patch: (ref, body, options) =>
      callForJson<KubeObject>({
        method: "PATCH",
        path: objectPath(ref, options.subresource),
        body,
        contentType: patchTypes[options.type],
      }),
    async delete(ref, options = {}) {
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: "Background",
        ...(options.uid === undefined ? {} : { preconditions: { uid: options.uid } }),
        ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
      };
      await callForJson({ method: "DELETE", path: objectPath(ref), body }).catch((cause: unknown) => {
        if (!isNotFound(cause)) throw cause;
      });
    },
    close: () => agent.destroy(),
  };
}

const eventTypes = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"] as const;

function watchEventOf(line: unknown, path: string): WatchEvent {
  const { type, object } = (line ?? {}) as { type?: string; object?: KubeObject & { code?: number } };
  if (type === "ERROR") throw refusalOf(object?.code ?? 500, JSON.stringify(object), `watch ${path}`);
  const known = eventTypes.find((word) => word === type);
  if (!known || !object?.metadata) throw new KubeError(0, "BadAnswer", `watch ${path}: not a watch event`);
  return { type: known, object };
}
