// Who the controllers are and what they may do: the least that this release's controllers call, rule by rule.
import { cdiGroup, kinds } from "../../api/kinds.ts";
import { apiServiceName } from "../../contract/install-names.ts";
import { clusterObject, controllerAccount, controllerDeployment, installedObject, type Install } from "./install.ts";
import type { KindRef, KubeObject } from "../../api/meta.ts";

export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

export const rbacVersion = "rbac.authorization.k8s.io/v1";
export const rbacGroup = "rbac.authorization.k8s.io";
const read = ["get", "list", "watch"];

const groupOf = ({ apiVersion }: KindRef): string => (apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "");

/** Kinds of one group, and what may be done with them. `part` is a subresource. */
export function rule(kindList: readonly KindRef[], verbs: readonly string[], part?: string): PolicyRule {
  const resources = kindList.map(({ plural }) => (part ? `${plural}/${part}` : plural));
  return { apiGroups: [...new Set(kindList.map(groupOf))], resources, verbs: [...verbs] };
}

/** Cluster-wide: DataVolumes live in every namespace. */
export const controllerRules: readonly PolicyRule[] = [
  rule([kinds.dataVolume], [...read, "update", "patch"]),
  rule([kinds.dataVolume], ["update", "patch"], "status"),
  // Owner references with blockOwnerDeletion need the owner's finalizers subresource where that admission plugin runs.
  rule([kinds.dataVolume], ["update"], "finalizers"),
  rule([kinds.cdiConfig], [...read, "create", "patch"]),
  rule([kinds.storageProfile], read),
  rule([kinds.claim], [...read, "create", "update", "patch", "delete"]),
  rule([kinds.pod], [...read, "create", "delete"]),
  rule([kinds.service], [...read, "create", "delete"]),
  rule([kinds.claim, kinds.pod], ["update"], "finalizers"),
  rule([kinds.volume], read),
  rule([kinds.storageClass, kinds.csiDriver], read),
  rule([kinds.event], [...read, "create", "patch"]),
  // An importer's trusted proxy CA is a copy of a ConfigMap, owned by its pod.
  rule([kinds.configMap], ["get", "create"]),
  // An upload pod's certificate.
  rule([kinds.secret], ["get", "create"]),
  { ...rule([kinds.apiService], ["get", "patch"]), resourceNames: [apiServiceName] },
];

/** In the installation's own namespace: leader election, authorities and certificates, ways to the upload proxy. */
export const controllerOwnRules: readonly PolicyRule[] = [
  rule([kinds.lease], ["get", "create", "update", "patch"]),
  rule([kinds.secret, kinds.configMap], ["get", "create", "patch"]),
  rule([kinds.ingress], read),
  rule([kinds.route], read),
];

const writable = ["datavolumes"];
const readable = ["cdiconfigs", "datavolumes", "storageprofiles"];

interface UserRole {
  name: string;
  aggregate?: "admin" | "edit" | "view";
  rules: PolicyRule[];
}

/** Roles for people; the first three join the cluster's own admin, edit and view. */
export const userRoles: readonly UserRole[] = [
  ...(["admin", "edit"] as const).map(
    (word): UserRole => ({
      name: `${cdiGroup}:${word}`,
      aggregate: word,
      rules: [
        { apiGroups: [cdiGroup], resources: writable, verbs: ["*"] },
        { apiGroups: [cdiGroup], resources: ["datavolumes/source"], verbs: ["create"] },
        rule([kinds.uploadTokenRequest], ["*"]),
      ],
    }),
  ),
  {
    name: `${cdiGroup}:view`,
    aggregate: "view",
    rules: [{ apiGroups: [cdiGroup], resources: readable, verbs: read }],
  },
  {
    name: `${cdiGroup}:config-reader`,
    rules: [{ apiGroups: [cdiGroup], resources: ["cdiconfigs", "storageprofiles"], verbs: read }],
  },
];

export function rbacFor(install: Install): KubeObject[] {
  const account = { kind: "ServiceAccount", name: controllerAccount, namespace: install.namespace };
  const roleRef = (kind: string, name: string) => ({ apiGroup: rbacGroup, kind, name });
  const everyone = { apiGroup: rbacGroup, kind: "Group", name: "system:authenticated" };
  return [
    installedObject(install, "v1", "ServiceAccount", controllerAccount),
    clusterObject(install, rbacVersion, "ClusterRole", "cdi", { rules: controllerRules }),
    clusterObject(install, rbacVersion, "ClusterRoleBinding", controllerAccount, {
      roleRef: roleRef("ClusterRole", "cdi"),
      subjects: [account],
    }),
    installedObject(install, rbacVersion, "Role", controllerDeployment, { rules: controllerOwnRules }),
    installedObject(install, rbacVersion, "RoleBinding", controllerDeployment, {
      roleRef: roleRef("Role", controllerDeployment),
      subjects: [account],
    }),
    ...userRoles.map((role) => userRole(install, role)),
    clusterObject(install, rbacVersion, "ClusterRoleBinding", `${cdiGroup}:config-reader`, {
      roleRef: roleRef("ClusterRole", `${cdiGroup}:config-reader`),
      subjects: [everyone],
    }),
  ];
}

function userRole(install: Install, { name, aggregate, rules }: UserRole): KubeObject {
  const object = clusterObject(install, rbacVersion, "ClusterRole", name, { rules });
  if (!aggregate) return object;
  const label = { [`${rbacGroup}/aggregate-to-${aggregate}`]: "true" };
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...label } } };
}
