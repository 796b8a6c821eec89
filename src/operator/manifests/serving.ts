// What the two programs that serve HTTPS have in common: account, Service, and a Deployment that meets the restricted standard and
// mounts the Secrets that the controller keeps (interfaces/operator-and-monitoring.md section 3).
import { labels } from "../../api/labels.ts";
import type { Container, PodVolume } from "../../api/core.ts";
import type { KubeObject } from "../../api/meta.ts";
import { uploadPort } from "../../contract/upload-routes.ts";
import { clusterObject, installedObject, installLabels, type Install } from "./install.ts";
import { rbacGroup, rbacVersion, type PolicyRule } from "./rbac.ts";

export interface ServingProgram {
  /** Of account, Deployment, container and roles. */
  name: string;
  service: string;
  image: string;
  env: NonNullable<Container["env"]>;
  /** Names of Secrets, each mounted under its name in `certificateFolder`. */
  secrets: readonly string[];
  clusterRules: readonly PolicyRule[];
  ownRules: readonly PolicyRule[];
}

export const certificateFolder = "/var/run/certs";

export function servingObjects(install: Install, program: ServingProgram): KubeObject[] {
  const { name, service } = program;
  const subjects = [{ kind: "ServiceAccount", name, namespace: install.namespace }];
  const roleRef = (kind: string) => ({ apiGroup: rbacGroup, kind, name });
  return [
    installedObject(install, "v1", "ServiceAccount", name),
    clusterObject(install, rbacVersion, "ClusterRole", name, { rules: program.clusterRules }),
    clusterObject(install, rbacVersion, "ClusterRoleBinding", name, { roleRef: roleRef("ClusterRole"), subjects }),
    installedObject(install, rbacVersion, "Role", name, { rules: program.ownRules }),
    installedObject(install, rbacVersion, "RoleBinding", name, { roleRef: roleRef("Role"), subjects }),
    installedObject(install, "v1", "Service", service, {
      spec: {
        type: "ClusterIP",
        ports: [{ port: 443, targetPort: uploadPort, protocol: "TCP" }],
        selector: { [labels.component]: name },
      },
    }),
    deployment(install, program),
  ];
}

function deployment(install: Install, program: ServingProgram): KubeObject {
  const { name, secrets } = program;
  const podLabels = { ...installLabels(install, name), [labels.allowClusterServices]: "true" };
  const volumes: PodVolume[] = [
    { name: "tmp", emptyDir: {} },
    ...secrets.map((secretName) => ({ name: secretName, secret: { secretName, defaultMode: 0o440 } })),
  ];
  const object = installedObject(install, "apps/v1", "Deployment", name, {
    spec: {
      replicas: 1,
      selector: { matchLabels: { [labels.component]: name } },
      template: {
        metadata: { labels: podLabels },
        spec: {
          serviceAccountName: name,
          // The group may read the keys; the image's own user is in no other.
          securityContext: { runAsNonRoot: true, fsGroup: 1001, seccompProfile: { type: "RuntimeDefault" } },
          nodeSelector: { "kubernetes.io/os": "linux" },
          terminationGracePeriodSeconds: 30,
          containers: [container(install, program)],
          volumes,
        },
      },
    },
  });
  return { ...object, metadata: { ...object.metadata, labels: installLabels(install, name) } };
}

function container(install: Install, { name, image, env, secrets }: ServingProgram): Container & { readinessProbe: object } {
  return {
    name,
    image,
    imagePullPolicy: install.pullPolicy,
    args: [`-v=${install.verbosity}`],
    env,
    ports: [{ name: "https", containerPort: uploadPort, protocol: "TCP" }],
    readinessProbe: {
      httpGet: { path: "/healthz", port: uploadPort, scheme: "HTTPS" },
      initialDelaySeconds: 2,
      periodSeconds: 5,
      timeoutSeconds: 1,
      failureThreshold: 3,
    },
    resources: { requests: { cpu: "100m", memory: "150Mi" } },
    securityContext: {
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: "tmp", mountPath: "/tmp" },
      ...secrets.map((secret) => ({ name: secret, mountPath: `${certificateFolder}/${secret}`, readOnly: true })),
    ],
  };
}
