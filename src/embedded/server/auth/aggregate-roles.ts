// ClusterRoles made of others: what carries the labels that an aggregationRule selects is in, at once and as it changes.
import { isDeepStrictEqual } from "node:util";
import { isConflict, isNotFound } from "../../../kube/index.ts";
import { kinds } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/meta.ts";
import { at, list, strings } from "../builtins/fields.ts";
import type { Background } from "../garbage-collector.ts";
import { builtinOf } from "../registry.ts";
import { collectionPrefix } from "../resource.ts";
import { valueOf, type World } from "../world.ts";
import { replaceObject } from "../write.ts";
import type { PolicyRule } from "./rules.ts";

const clusterRoles = builtinOf(kinds.clusterRole);
const prefix = collectionPrefix(clusterRoles);

export function startRoleAggregation(world: World): Background {
  const { store, log } = world;
  let pending = false;
  let closed = false;
  let working: Promise<void> | undefined;
  const work = (): void => {
    pending = true;
    working ??= Promise.resolve().then(async () => {
      while (pending && !closed) {
        pending = false;
        for (const row of store.list(prefix)) {
          await settle(world, valueOf(row)).catch((cause: unknown) => {
            if (!isConflict(cause) && !isNotFound(cause)) log.error("Role aggregation failed", { key: row.key, cause });
          });
        }
      }
      working = undefined;
    });
  };
  const unfollow = store.follow(({ key }) => {
    if (key.startsWith(prefix)) work();
  });
  work();
  return {
    async close() {
      closed = true;
      unfollow();
      await working;
    },
  };
}

async function settle(world: World, role: KubeObject): Promise<void> {
  const selectors = list(role, "aggregationRule", "clusterRoleSelectors");
  if (selectors.length === 0) return;
  const all = world.store.list(prefix).map(valueOf);
  const rules: PolicyRule[] = [];
  for (const selector of selectors) {
    for (const one of all) {
      if (one.metadata.name === role.metadata.name || !labelsFit(selector, one.metadata.labels ?? {})) continue;
      for (const rule of (one["rules"] ?? []) as PolicyRule[])
        if (!rules.some((known) => isDeepStrictEqual(known, rule))) rules.push(rule);
    }
  }
  if (isDeepStrictEqual(role["rules"] ?? [], rules)) return;
  await replaceObject(world, clusterRoles, undefined, role.metadata.name ?? "", (old) => ({ ...old, rules }), {
    manager: "clusterrole-aggregation-controller",
  });
}

/** metav1.LabelSelector. */
export function labelsFit(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries((at(selector, "matchLabels") ?? {}) as Record<string, string>);
  if (!wanted.every(([name, value]) => labels[name] === value)) return false;
  return list(selector, "matchExpressions").every(({ key, operator, ...rest }) => {
    const value = labels[String(key)];
    switch (operator) {
      case "In":
        return value !== undefined && strings(rest, "values").includes(value);
      case "NotIn":
        return value === undefined || !strings(rest, "values").includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return false;
    }
  });
}
