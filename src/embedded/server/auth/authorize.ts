// May this user do this? Members of system:masters may do anything, all others what RBAC's rules say.
import type { World } from "../world.ts";
import { isPath, refusalOf, type Attributes } from "./attributes.ts";
import { grantsTo } from "./grants.ts";
import { ruleAllows, type PolicyRule } from "./rules.ts";
import { masters, type UserInfo } from "./user.ts";

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

export function decide({ store }: Pick<World, "store">, user: UserInfo, attributes: Attributes): Decision {
  if (user.groups.includes(masters)) return { allowed: true, reason: "" };
  for (const { rules, by } of grantsTo(store, user, isPath(attributes) ? "" : attributes.namespace)) {
    if (rules.some((rule) => ruleAllows(rule, attributes))) return { allowed: true, reason: `RBAC: allowed by ${by}` };
  }
  return { allowed: false, reason: "" };
}

/** @throws ApiError 403 */
export function mustBeAllowed(world: Pick<World, "store">, user: UserInfo, attributes: Attributes): void {
  if (!decide(world, user, attributes).allowed) throw refusalOf(user, attributes);
}

export const everything: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** All that a user may do in a namespace, or with "" everywhere. */
export const rulesHeld = ({ store }: Pick<World, "store">, user: UserInfo, namespace: string): PolicyRule[] => [
  ...(user.groups.includes(masters) ? everything : []),
  ...[...grantsTo(store, user, namespace)].flatMap(({ rules }) => rules),
];
