// What the real server refuses in roles and bindings, and what it fills in.
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../../api/meta.ts";
import { at, list, section, strings, text } from "../builtins/fields.ts";
import type { FieldError } from "../resource.ts";

const rbacGroup = "rbac.authorization.k8s.io";
const required = (field: string, why = ""): FieldError => ({
  field,
  reason: "FieldValueRequired",
  message: why ? `Required value: ${why}` : "Required value",
});
const wrong = (field: string, value: unknown, why: string): FieldError => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});
const unsupported = (field: string, value: string, supported: readonly string[]): FieldError => {
  const words = supported.map((one) => JSON.stringify(one)).join(", ");
  return {
    field,
    reason: "FieldValueNotSupported",
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${words}`,
  };
};

/** Role and ClusterRole. */
export const checkRole = (role: KubeObject): FieldError[] =>
  list(role, "rules").flatMap((rule, index): FieldError[] => {
    const field = `rules[${index}]`;
    const [verbs, urls] = [strings(rule, "verbs"), strings(rule, "nonResourceURLs")];
    const [groups, resources] = [strings(rule, "apiGroups"), strings(rule, "resources")];
    const noVerb = verbs.length > 0 ? [] : [required(`${field}.verbs`, "verbs must contain at least one value")];
    if (urls.length > 0) {
      const mixed = groups.length + resources.length + strings(rule, "resourceNames").length > 0;
      const both = "rules cannot apply to both regular resources and non-resource URLs";
      const local = "namespaced rules cannot apply to non-resource URLs";
      return [
        ...noVerb,
        ...(role.kind === "Role" ? [wrong(`${field}.nonResourceURLs`, urls, local)] : []),
        ...(mixed ? [wrong(`${field}.nonResourceURLs`, urls, both)] : []),
      ];
    }
    return [
      ...noVerb,
      ...(groups.length > 0
        ? []
        : [required(`${field}.apiGroups`, "resource rules must supply at least one api group")]),
      ...(resources.length > 0
        ? []
        : [required(`${field}.resources`, "resource rules must supply at least one resource")]),
    ];
  });

/** RoleBinding and ClusterRoleBinding. */
export function checkBinding(binding: KubeObject, old?: KubeObject): FieldError[] {
  const refKinds = binding.kind === "RoleBinding" ? ["Role", "ClusterRole"] : ["ClusterRole"];
  const refKind = text(binding, "roleRef", "kind");
  const refGroup = text(binding, "roleRef", "apiGroup");
  const errors = [
    ...(refGroup === rbacGroup || refGroup === "" ? [] : [unsupported("roleRef.apiGroup", refGroup, [rbacGroup])]),
    ...(refKinds.includes(refKind) ? [] : [unsupported("roleRef.kind", refKind, refKinds)]),
    ...(text(binding, "roleRef", "name") ? [] : [required("roleRef.name")]),
    ...list(binding, "subjects").flatMap((subject, index) => checkSubject(binding, subject, `subjects[${index}]`)),
  ];
  if (old && !isDeepStrictEqual({ apiGroup: rbacGroup, ...refOf(old) }, { apiGroup: rbacGroup, ...refOf(binding) }))
    errors.push(wrong("roleRef", binding["roleRef"], "cannot change roleRef"));
  return errors;
}

const refOf = (binding: KubeObject): object => (at(binding, "roleRef") ?? {}) as object;

function checkSubject(binding: KubeObject, subject: Record<string, unknown>, field: string): FieldError[] {
  const kind = text(subject, "kind");
  const noName = text(subject, "name") ? [] : [required(`${field}.name`)];
  switch (kind) {
    case "ServiceAccount":
      return binding.kind === "ClusterRoleBinding" && !text(subject, "namespace")
        ? [...noName, required(`${field}.namespace`)]
        : noName;
    case "User":
    case "Group": {
      const group = text(subject, "apiGroup");
      return group === "" || group === rbacGroup
        ? noName
        : [...noName, unsupported(`${field}.apiGroup`, group, [rbacGroup])];
    }
    default:
      return [...noName, unsupported(`${field}.kind`, kind, ["ServiceAccount", "User", "Group"])];
  }
}

export function fillBinding(draft: KubeObject): void {
  section(draft, "roleRef")["apiGroup"] ||= rbacGroup;
  for (const subject of list(draft, "subjects")) {
    if (subject["kind"] === "User" || subject["kind"] === "Group") subject["apiGroup"] ||= rbacGroup;
    else if (draft.kind === "RoleBinding") subject["namespace"] ||= draft.metadata.namespace;
  }
}
export function fillRole(draft: KubeObject): void {
  draft["rules"] ??= null;
}
