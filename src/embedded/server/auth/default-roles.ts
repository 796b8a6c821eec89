// The roles every cluster comes with, as far as their kinds are served here or may be. Source: Kubernetes' bootstrap policy.
import { kinds } from "../../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../../api/meta.ts";
import { isAlreadyExists, type KubeClient } from "../../../kube/index.ts";
import type { PolicyRule } from "./rules.ts";
import { authenticated, masters, unauthenticated } from "./user.ts";

const read = ["get", "list", "watch"];
const write = ["create", "delete", "deletecollection", "patch", "update"];
const words = (text: string): string[] => text.split(" ");
const rule = (verbs: readonly string[], apiGroup: string, resources: string): PolicyRule => ({
  apiGroups: [apiGroup],
  resources: words(resources),
  verbs,
});
const paths = (text: string): PolicyRule => ({ nonResourceURLs: words(text), verbs: ["get"] });

const workloads =
  "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale";
const readWorkloads =
  "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets " +
  "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status";

const viewRules: PolicyRule[] = [
  rule(
    read,
    "",
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers " +
      "replicationcontrollers/scale serviceaccounts services services/status",
  ),
  rule(
    read,
    "",
    "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas " +
      "resourcequotas/status",
  ),
  rule(read, "", "namespaces"),
  rule(read, "discovery.k8s.io", "endpointslices"),
  rule(read, "apps", readWorkloads),
  rule(read, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
  rule(read, "batch", "cronjobs cronjobs/status jobs jobs/status"),
  rule(read, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
  rule(read, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
];
const editRules: PolicyRule[] = [
  rule(read, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
  rule(["impersonate"], "", "serviceaccounts"),
  rule(write, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
  rule(["create"], "", "pods/eviction"),
  rule(
    write,
    "",
    "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets " +
      "serviceaccounts services services/proxy",
  ),
  rule(["create"], "", "serviceaccounts/token"),
  rule(write, "apps", workloads),
  rule(write, "autoscaling", "horizontalpodautoscalers"),
  rule(write, "batch", "cronjobs jobs"),
  rule(write, "policy", "poddisruptionbudgets"),
  rule(write, "networking.k8s.io", "ingresses networkpolicies"),
  rule([...write, ...read], "coordination.k8s.io", "leases"),
];
const adminRules: PolicyRule[] = [
  rule(["create"], "authorization.k8s.io", "localsubjectaccessreviews"),
  rule([...write, ...read], "rbac.authorization.k8s.io", "rolebindings roles"),
];

const aggregates = (...names: string[]): object => ({
  aggregationRule: {
    clusterRoleSelectors: names.map((name) => ({
      matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${name}`]: "true" },
    })),
  },
});
const into = (...names: string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [`rbac.authorization.k8s.io/aggregate-to-${name}`, "true"]));

const marks = {
  labels: { "kubernetes.io/bootstrapping": "rbac-defaults" },
  annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
};
const apiVersion = kinds.clusterRole.apiVersion;
const metadata = (name: string, labels: Record<string, string> = {}): KubeObject["metadata"] => ({
  name,
  labels: { ...marks.labels, ...labels },
  annotations: marks.annotations,
});
const clusterRole = (name: string, body: object, labels?: Record<string, string>): KubeObject => ({
  apiVersion,
  kind: "ClusterRole",
  metadata: metadata(name, labels),
  ...body,
});
const binding = (name: string, ...groups: string[]): KubeObject => ({
  apiVersion,
  kind: "ClusterRoleBinding",
  metadata: metadata(name),
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
  subjects: groups.map((group) => ({ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group })),
});

const health = "/healthz /livez /readyz";
const clusterRoles: KubeObject[] = [
  clusterRole("cluster-admin", {
    rules: [
      { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
      { nonResourceURLs: ["*"], verbs: ["*"] },
    ],
  }),
  clusterRole("admin", aggregates("admin")),
  clusterRole("edit", aggregates("edit"), into("admin")),
  clusterRole("view", aggregates("view"), into("edit")),
  clusterRole("system:aggregate-to-admin", { rules: adminRules }, into("admin")),
  clusterRole("system:aggregate-to-edit", { rules: editRules }, into("edit")),
  clusterRole("system:aggregate-to-view", { rules: viewRules }, into("view")),
  clusterRole("system:discovery", {
    rules: [paths(`/api /api/* /apis /apis/* ${health} /openapi /openapi/* /version /version/`)],
  }),
  clusterRole("system:public-info-viewer", { rules: [paths(`${health} /version /version/`)] }),
  clusterRole("system:monitoring", {
    rules: [paths(`${health} /healthz/* /livez/* /metrics /metrics/slis /readyz/*`)],
  }),
  clusterRole("system:basic-user", {
    rules: [
      rule(["create"], "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
      rule(["create"], "authentication.k8s.io", "selfsubjectreviews"),
    ],
  }),
  clusterRole("system:auth-delegator", {
    rules: [
      rule(["create"], "authentication.k8s.io", "tokenreviews"),
      rule(["create"], "authorization.k8s.io", "subjectaccessreviews"),
    ],
  }),
  clusterRole("system:service-account-issuer-discovery", {
    rules: [
      paths("/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/"),
    ],
  }),
  clusterRole("system:persistent-volume-provisioner", {
    rules: [
      rule(["get", "list", "watch", "create", "delete"], "", "persistentvolumes"),
      rule(["get", "list", "watch", "update"], "", "persistentvolumeclaims"),
      rule(read, "storage.k8s.io", "storageclasses"),
      rule(["watch"], "", "events"),
      rule(["create", "patch", "update"], "", "events"),
    ],
  }),
];
const clusterRoleBindings: KubeObject[] = [
  binding("cluster-admin", masters),
  binding("system:basic-user", authenticated),
  binding("system:discovery", authenticated),
  binding("system:monitoring", "system:monitoring"),
  binding("system:public-info-viewer", authenticated, unauthenticated),
  binding("system:service-account-issuer-discovery", "system:serviceaccounts"),
];
/** For aggregated API servers, which learn from a ConfigMap there whom to believe. */
const reader: KubeObject = {
  apiVersion,
  kind: "Role",
  metadata: { ...metadata("extension-apiserver-authentication-reader"), namespace: "kube-system" },
  rules: [{ ...rule(read, "", "configmaps"), resourceNames: ["extension-apiserver-authentication"] }],
};

const rows: [KindRef, KubeObject][] = [
  ...clusterRoles.map((one): [KindRef, KubeObject] => [kinds.clusterRole, one]),
  ...clusterRoleBindings.map((one): [KindRef, KubeObject] => [kinds.clusterRoleBinding, one]),
  [kinds.role, reader],
];

/** Creates what is missing; roles of an earlier run are left as their user made them. */
export async function ensureRoles(client: KubeClient): Promise<void> {
  await Promise.all(
    rows.map(([kind, object]) =>
      client.create(object, kind).catch((cause: unknown) => {
        if (!isAlreadyExists(cause)) throw cause;
      }),
    ),
  );
}
