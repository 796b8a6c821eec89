// Nobody gives others more than they hold: writes of roles and bindings are measured against the writer's own rules.
import { isDeepStrictEqual } from "node:util";
import { kinds } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/meta.ts";
import { at } from "../builtins/fields.ts";
import { forbidden, notFound } from "../errors.ts";
import { builtinOf } from "../registry.ts";
import type { Resource } from "../resource.ts";
import type { World } from "../world.ts";
import { decide, everything, rulesHeld } from "./authorize.ts";
import { rulesOf, type Binding } from "./grants.ts";
import { compact, notCovered, quotedList, shownRule, type PolicyRule } from "./rules.ts";
import { masters, type UserInfo } from "./user.ts";

const roleKinds: readonly string[] = [kinds.role.kind, kinds.clusterRole.kind];
const bindingKinds: readonly string[] = [kinds.roleBinding.kind, kinds.clusterRoleBinding.kind];

/** @throws ApiError 403 for rights the user does not hold, 404 for a binding to a role that is not there */
export function passEscalation(
  world: Pick<World, "store">,
  user: UserInfo,
  resource: Resource,
  draft: KubeObject,
  old?: KubeObject,
): void {
  if (resource.group !== "rbac.authorization.k8s.io" || user.groups.includes(masters)) return;
  const { name = "", namespace = "" } = draft.metadata;
  const may = (verb: string, plural: string, named: string): boolean => {
    const { group, version } = resource;
    return decide(world, user, { verb, group, version, resource: plural, subresource: "", namespace, name: named })
      .allowed;
  };
  if (roleKinds.includes(resource.kind)) {
    if (old && isDeepStrictEqual(grantOf(old), grantOf(draft))) return;
    if (may("escalate", resource.plural, name)) return;
    const aggregates = at(draft, "aggregationRule") !== undefined && at(draft, "aggregationRule") !== null;
    mustHold(world, user, resource, draft, aggregates ? everything : grantOf(draft).rules);
  } else if (bindingKinds.includes(resource.kind)) {
    const binding = draft as Binding;
    const { roleRef } = binding;
    const same = old && isDeepStrictEqual([old["subjects"], old["roleRef"]], [binding.subjects, roleRef]);
    const role = builtinOf(roleRef.kind === kinds.role.kind ? kinds.role : kinds.clusterRole);
    if (same || may("bind", role.plural, roleRef.name)) return;
    const rules = rulesOf(world.store, roleRef, namespace);
    if (!rules) throw notFound(role, roleRef.name);
    mustHold(world, user, resource, draft, rules);
  }
}

const grantOf = (role: KubeObject): { rules: PolicyRule[]; aggregationRule: unknown } => ({
  rules: (role["rules"] ?? []) as PolicyRule[],
  aggregationRule: role["aggregationRule"] ?? undefined,
});

function mustHold(
  world: Pick<World, "store">,
  user: UserInfo,
  resource: Resource,
  { metadata }: KubeObject,
  rules: readonly PolicyRule[],
): void {
  const absent = notCovered(rulesHeld(world, user, metadata.namespace ?? ""), rules);
  if (absent.length === 0) return;
  const shown = [...new Set(compact(absent).map(shownRule))].toSorted().join("\n");
  const who = `user ${JSON.stringify(user.username)} (groups=${quotedList(user.groups)})`;
  const why = `${who} is attempting to grant RBAC permissions not currently held:\n${shown}`;
  throw forbidden(resource, metadata.name ?? "", why);
}
