// The rules that bindings give to a user, read from the store as it is now.
import { kinds } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/meta.ts";
import type { Store } from "../../store/index.ts";
import { collectionPrefix, keyFor } from "../resource.ts";
import { valueOf } from "../world.ts";
import type { PolicyRule } from "./rules.ts";
import { accountUsername, type UserInfo } from "./user.ts";

export interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly apiGroup?: string;
}
export interface RoleRef {
  readonly kind: string;
  readonly name: string;
}
export interface Binding extends KubeObject {
  subjects?: Subject[];
  roleRef: RoleRef;
}

export interface Grant {
  readonly rules: readonly PolicyRule[];
  /** 'ClusterRoleBinding "a" of ClusterRole "b" to Group "c"' */
  readonly by: string;
}

const { clusterRole, role, clusterRoleBinding, roleBinding } = kinds;

/** Those of the whole cluster, and with a namespace those of it. Bindings to roles that are not there give nothing. */
export function* grantsTo(store: Store, user: UserInfo, namespace: string): Generator<Grant> {
  const clusterWide = store.list(collectionPrefix(clusterRoleBinding));
  const local = namespace === "" ? [] : store.list(collectionPrefix(roleBinding, namespace));
  for (const row of [...clusterWide, ...local]) {
    const binding = valueOf(row) as Binding;
    const subject = binding.subjects?.find((one) => isMeant(one, user, binding.metadata.namespace));
    if (!subject) continue;
    const rules = rulesOf(store, binding.roleRef, binding.metadata.namespace);
    if (rules) yield { rules, by: shownBinding(binding, subject) };
  }
}

/** @returns undefined when the role is not there */
export function rulesOf(store: Store, { kind, name }: RoleRef, namespace = ""): readonly PolicyRule[] | undefined {
  const row = store.get(
    kind === kinds.role.kind ? keyFor(role, namespace, name) : keyFor(clusterRole, undefined, name),
  );
  return row && ((valueOf(row)["rules"] ?? []) as PolicyRule[]);
}

function isMeant({ kind, name, namespace }: Subject, user: UserInfo, bindingNamespace: string | undefined): boolean {
  switch (kind) {
    case "User":
      return user.username === name;
    case "Group":
      return user.groups.includes(name);
    case "ServiceAccount": {
      const place = namespace || bindingNamespace;
      return place !== undefined && user.username === accountUsername(place, name);
    }
    default:
      return false;
  }
}

function shownBinding({ kind, metadata, roleRef }: Binding, subject: Subject): string {
  const { name = "", namespace } = metadata;
  const place = subject.namespace || namespace;
  const subjectName = subject.kind === "ServiceAccount" ? `${subject.name}/${place}` : subject.name;
  const quoted = JSON.stringify;
  const binding = `${kind} ${quoted(namespace === undefined ? name : `${name}/${namespace}`)}`;
  return `${binding} of ${roleRef.kind} ${quoted(roleRef.name)} to ${subject.kind} ${quoted(subjectName)}`;
}
