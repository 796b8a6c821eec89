// What every namespace comes with: its default account, and a ConfigMap with the authority's certificate. Both come back when
// they are deleted.
import { kinds } from "../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../api/meta.ts";
import { KubeError, isAlreadyExists } from "../../kube/index.ts";
import { builtinOf } from "./registry.ts";
import type { Background } from "./garbage-collector.ts";
import { collectionPrefix, keyFor } from "./resource.ts";
import { createObject } from "./write.ts";
import { valueOf, type World } from "./world.ts";

const prefix = collectionPrefix(kinds.namespace);
const description =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal " +
  "service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/** @param authority PEM of the certificate that clients verify this server by */
export function startNamespaceContents(world: World, authority: string): Background {
  const { store, log } = world;
  const contents: readonly [KindRef, Record<string, unknown>, KubeObject["metadata"]][] = [
    [kinds.serviceAccount, {}, { name: "default" }],
    [
      kinds.configMap,
      { data: { "ca.crt": authority } },
      { name: "kube-root-ca.crt", annotations: { "kubernetes.io/description": description } },
    ],
  ];
  let closed = false;
  const working = new Set<Promise<void>>();

  const fill = async (namespace: string): Promise<void> => {
    const row = store.get(keyFor(kinds.namespace, undefined, namespace));
    if (closed || !row || valueOf(row).metadata.deletionTimestamp !== undefined) return;
    for (const [kind, body, metadata] of contents) {
      if (store.get(keyFor(kind, namespace, metadata.name ?? ""))) continue;
      const { apiVersion, kind: word } = kind;
      const object = { apiVersion, kind: word, metadata, ...body };
      const manager = "kube-controller-manager";
      await createObject(world, builtinOf(kind), namespace, object, { manager }).catch((cause: unknown) => {
        // The namespace is on its way out, or someone else was faster.
        if (!isAlreadyExists(cause) && !(cause instanceof KubeError && [403, 404].includes(cause.status))) throw cause;
      });
    }
  };
  const start = (namespace: string): void => {
    const work = fill(namespace)
      .catch((cause: unknown) => {
        if (!closed) log.error("Namespace contents cannot be made", { namespace, cause });
      })
      .finally(() => working.delete(work));
    working.add(work);
  };
  const unfollow = store.follow(({ key, now, before }) => {
    if (key.startsWith(prefix) && now && !before) start(valueOf(now).metadata.name ?? "");
    if (now || !before) return;
    const { kind, metadata } = valueOf(before);
    if (contents.some(([ref, , { name }]) => ref.kind === kind && name === metadata.name))
      start(metadata.namespace ?? "");
  });
  for (const row of store.list(prefix)) start(valueOf(row).metadata.name ?? "");
  return {
    async close() {
      closed = true;
      unfollow();
      await Promise.all(working);
    },
  };
}
