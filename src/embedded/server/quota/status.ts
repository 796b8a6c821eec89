// Keeps the status of every ResourceQuota true, behind the writes it counts.
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../../api/meta.ts";
import { isConflict, isNotFound } from "../../../kube/index.ts";
import { at } from "../builtins/fields.ts";
import { resourceAt, type Background } from "../garbage-collector.ts";
import { collectionPrefix } from "../resource.ts";
import { valueOf, type World } from "../world.ts";
import { replaceObject } from "../write.ts";
import { quotas, quotasIn, usedIn } from "./pass.ts";
import { hardOf, shownAmount } from "./usage.ts";

/** Keeps `status.hard` and `status.used` of every quota true, behind the writes. */
export function startQuotaStatus(world: World): Background {
  const { store, log } = world;
  const due = new Set<string>();
  let working: Promise<void> | undefined;
  let closed = false;
  const work = (): void => {
    if (closed || due.size === 0) return;
    working ??= Promise.resolve().then(async () => {
      while (due.size > 0 && !closed) {
        const [namespace = ""] = due;
        due.delete(namespace);
        for (const quota of quotasIn(world, namespace)) await settle(quota);
      }
      working = undefined;
    });
  };
  const settle = async ({ metadata }: KubeObject): Promise<void> => {
    const { name = "", namespace } = metadata;
    try {
      await replaceObject(world, quotas, namespace, name, (old) => ({ ...old, status: statusOf(world, old) }), {
        subresource: "status",
      });
    } catch (cause) {
      if (isConflict(cause)) due.add(namespace ?? "");
      else if (!isNotFound(cause)) log.error("The status of a quota could not be written", { name, namespace, cause });
    }
  };
  const unfollow = store.follow(({ now, before }) => {
    const row = now ?? before;
    const namespace = row && valueOf(row).metadata.namespace;
    if (namespace === undefined || quotasIn(world, namespace).length === 0) return;
    if (!row || resourceAt(world, row)?.plural === "events") return;
    due.add(namespace);
    work();
  });
  for (const row of store.list(collectionPrefix(quotas))) due.add(valueOf(row).metadata.namespace ?? "");
  work();
  return {
    async close() {
      closed = true;
      unfollow();
      await working;
    },
  };
}

function statusOf(world: World, quota: KubeObject): object {
  const used = usedIn(world, quota.metadata.namespace ?? "", hardOf(quota));
  const status = {
    hard: at(quota, "spec", "hard") ?? {},
    used: Object.fromEntries(Object.entries(used).map(([key, amount]) => [key, shownAmount(amount)])),
  };
  return isDeepStrictEqual(status, quota["status"]) ? (quota["status"] as object) : status;
}
