// ResourceQuota: refuses what would exceed one. It counts what is stored at that moment, in the same turn as the write, so that
// two requests never share the last of a quota.
import { kinds } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/meta.ts";
import { forbidden } from "../errors.ts";
import { builtinOf } from "../registry.ts";
import { collectionPrefix, type Resource } from "../resource.ts";
import { valueOf, type World } from "../world.ts";
import { countedIn, hardOf, shownAmounts, sumOf, unsaidBy, usageOf, type Amounts } from "./usage.ts";

export const quotas = builtinOf(kinds.resourceQuota);

export const quotasIn = (world: World, namespace: string): KubeObject[] =>
  world.store.list(collectionPrefix(quotas, namespace)).map(valueOf);

/** @param old what it replaces: only a growth is counted then. @throws ApiError 403 */
export function passQuota(world: World, resource: Resource, draft: KubeObject, old?: KubeObject): void {
  const { name = "", namespace } = draft.metadata;
  if (!resource.namespaced || namespace === undefined) return;
  const found = quotasIn(world, namespace);
  if (found.length === 0) return;
  const wanted = usageOf(resource, draft);
  const had = old ? usageOf(resource, old) : {};
  for (const quota of found) {
    const hard = hardOf(quota);
    const quotaName = quota.metadata.name ?? "";
    const unsaid = resource.plural === "pods" && !old ? unsaidBy(draft, hard) : [];
    if (unsaid.length > 0)
      throw forbidden(resource, name, `failed quota: ${quotaName}: must specify ${unsaid.join("; ")}`);
    const used = usedIn(world, namespace, hard);
    const grown = Object.entries(wanted).map(([key, amount]) => [key, amount - (had[key] ?? 0)] as const);
    const over = grown.filter(([key, more]) => more > 0 && (used[key] ?? 0) + more > (hard[key] ?? Infinity));
    if (over.length === 0) continue;
    const requested = Object.fromEntries(over);
    const [usedNow, limited] = [countedIn(requested, used), countedIn(requested, hard)];
    const why = `exceeded quota: ${quotaName}, requested: ${shownAmounts(requested)}, used: ${shownAmounts(usedNow)}, limited: ${shownAmounts(limited)}`;
    throw forbidden(resource, name, why);
  }
}

export function usedIn(world: World, namespace: string, hard: Amounts): Amounts {
  const all = resourcesNamed(world, hard).flatMap((resource) =>
    world.store.list(collectionPrefix(resource, namespace)).map((row) => usageOf(resource, valueOf(row))),
  );
  return countedIn(hard, sumOf(all));
}

/** Only these have to be counted. */
function resourcesNamed({ registry }: World, hard: Amounts): Resource[] {
  const keys = Object.keys(hard);
  return registry.all().filter(({ namespaced, group, plural }) => {
    if (!namespaced) return false;
    const isOfPods = plural === "pods" && keys.some((key) => /^((requests|limits)\.|cpu$|memory$|ephemeral)/.test(key));
    const isOfClaims = plural === "persistentvolumeclaims" && keys.some((key) => key.includes("storage"));
    return (
      isOfPods || isOfClaims || keys.includes(plural) || keys.includes(`count/${plural}${group ? `.${group}` : ""}`)
    );
  });
}
