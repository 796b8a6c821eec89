// The client interface served in process: the same operations as over HTTPS, without the wire. Objects handed out are the
// store's own, frozen: copy before changing one.
import type { KubeClient } from "../../kube/index.ts";
import type { WatchEvent } from "../../kube/index.ts";
import { isNotFound } from "../../kube/index.ts";
import type { KindRef } from "../../api/meta.ts";
import { patched, patchKindOf } from "./patch/index.ts";
import { listPage } from "./page.ts";
import { getObject } from "./read.ts";
import { deleteObject } from "./remove.ts";
import { keyFor } from "./resource.ts";
import { openWatch } from "./watch.ts";
import { createObject, replaceObject, updateObject } from "./write.ts";
import type { World } from "./world.ts";

const mediaOf = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;

export function inProcessClient(world: World): KubeClient {
  const resourceOf = (kind: KindRef) => world.registry.of(kind);
  return {
    async get({ kind, namespace, name }) {
      const resource = resourceOf(kind);
      return world.store.get(keyFor(resource, namespace, name)) && getObject(world, resource, namespace, name).value;
    },
    async list(kind, options = {}) {
      const page = listPage(world, resourceOf(kind), options.namespace, options);
      const list = { resourceVersion: String(page.revision), items: page.items.map(({ value }) => value) };
      return page.continue === undefined ? list : { ...list, continue: page.continue };
    },
    watch: (kind, { resourceVersion, signal, ...options }) =>
      watching(signal, (push) => {
        const from = resourceVersion === "" || resourceVersion === "0" ? undefined : Number(resourceVersion);
        return openWatch(world, resourceOf(kind), { ...options, from }, (type, { value }) =>
          push({ type, object: value }),
        );
      }),
    async create(object, kind, options = {}) {
      return (await createObject(world, resourceOf(kind), object.metadata.namespace, object, options)).value;
    },
    async update(object, kind, options = {}) {
      const { namespace, name = "" } = object.metadata;
      return (await updateObject(world, resourceOf(kind), namespace, name, object, options)).value;
    },
    async patch({ kind, namespace, name }, body, { type, ...options }) {
      const resource = resourceOf(kind);
      const patch = patchKindOf(resource, mediaOf[type]);
      return (await replaceObject(world, resource, namespace, name, (old) => patched(old, patch, body), options)).value;
    },
    async delete({ kind, namespace, name }, { uid, gracePeriodSeconds } = {}) {
      const options = {
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      };
      try {
        await deleteObject(world, resourceOf(kind), namespace, name, options);
      } catch (cause) {
        if (!isNotFound(cause)) throw cause;
      }
    },
  };
}

/** Turns pushed events into an iteration that ends with the signal. The watch opens with the first step. */
async function* watching(
  signal: AbortSignal,
  open: (push: (event: WatchEvent) => void) => () => void,
): AsyncGenerator<WatchEvent> {
  if (signal.aborted) return;
  let waiting: WatchEvent[] = [];
  let wake = Promise.withResolvers<void>();
  const nudge = (): void => wake.resolve();
  const close = open((event) => {
    waiting.push(event);
    nudge();
  });
  signal.addEventListener("abort", nudge);
  try {
    while (!signal.aborted) {
      const batch = waiting;
      waiting = [];
      for (const event of batch) {
        if (signal.aborted) return;
        yield event;
      }
      if (waiting.length > 0) continue;
      await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    close();
    signal.removeEventListener("abort", nudge);
  }
}
