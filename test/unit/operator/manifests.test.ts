// The installation's manifest: upstream's names, the least rights, restricted pods.
import { describe, expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import { controllerManifest, type Install } from "../../../src/operator/index.ts";
import type { PodSpec } from "../../../src/api/core.ts";
import type { KubeObject } from "../../../src/api/meta.ts";

const install: Install = {
  namespace: "cdi",
  version: "v1.66.0-cdi.1",
  images: {
    controller: "controller:1",
    importer: "importer:1",
    apiserver: "apiserver:1",
    uploadProxy: "proxy:1",
    uploadServer: "server:1",
  },
  pullPolicy: "IfNotPresent",
  verbosity: 1,
};
const objects = controllerManifest(install);
const ofKind = (kind: string): KubeObject[] => objects.filter((object) => object.kind === kind);
const named = (kind: string, name: string): KubeObject | undefined =>
  ofKind(kind).find((object) => object.metadata.name === name);

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}
const rulesOf = (kind: string, name: string): Rule[] => (named(kind, name)?.["rules"] ?? []) as Rule[];
const controllerRules = rulesOf("ClusterRole", "cdi");
const allowed = (group: string, resource: string): string[] => [
  ...new Set(
    controllerRules
      .filter((rule) => rule.apiGroups.includes(group) && rule.resources.includes(resource))
      .flatMap((rule) => rule.verbs),
  ),
];

const deployment = named("Deployment", "cdi-deployment") as KubeObject & {
  spec: {
    selector: { matchLabels: Record<string, string> };
    template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
  };
};
const pod = deployment.spec.template.spec;

describe("order and identity", () => {
  test("what others stand on comes first", () => {
    expect(objects[0]).toMatchObject({ kind: "Namespace", metadata: { name: "cdi" } });
    expect(objects.at(-1)?.kind).toBe("Deployment");
  });

  test("every kind of this release is installed", () => {
    expect(ofKind("CustomResourceDefinition").map((crd) => crd.metadata.name)).toEqual([
      "cdiconfigs.cdi.kubevirt.io",
      "datavolumes.cdi.kubevirt.io",
      "storageprofiles.cdi.kubevirt.io",
    ]);
  });

  test("no two objects share kind, namespace and name", () => {
    const ids = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name ?? ""}`);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("every object carries the labels of the installation", () => {
    const bare = objects.filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/version"] !== install.version);
    expect(bare).toEqual([]);
  });
});

describe("rights of the controllers", () => {
  test.each([
    ["cdi.kubevirt.io", "datavolumes", ["get", "list", "watch", "update", "patch"]],
    ["cdi.kubevirt.io", "datavolumes/status", ["update", "patch"]],
    ["cdi.kubevirt.io", "datavolumes/finalizers", ["update"]],
    ["cdi.kubevirt.io", "storageprofiles", ["get", "list", "watch"]],
    ["", "persistentvolumeclaims", ["get", "list", "watch", "create", "update", "patch", "delete"]],
    ["", "pods", ["get", "list", "watch", "create", "delete"]],
    ["", "persistentvolumes", ["get", "list", "watch"]],
    ["", "secrets", ["get", "create"]],
    ["", "services", ["get", "list", "watch", "create", "delete"]],
    ["apiregistration.k8s.io", "apiservices", ["get", "patch"]],
    ["storage.k8s.io", "csidrivers", ["get", "list", "watch"]],
  ])("%s %s: %j", (group, resource, verbs) => {
    expect(allowed(group, resource)).toEqual(verbs);
  });

  test("no rule has a star, and none reaches into pods or grants rights", () => {
    const words = controllerRules.flatMap((rule) => [...rule.apiGroups, ...rule.resources, ...rule.verbs]);
    const forbidden = ["*", "pods/exec", "pods/attach", "bind", "escalate", "impersonate"];
    expect(words.filter((word) => forbidden.includes(word))).toEqual([]);
  });

  test("leases only in the namespace of the installation", () => {
    expect(allowed("coordination.k8s.io", kinds.lease.plural)).toEqual([]);
    expect(rulesOf("Role", "cdi-deployment")[0]?.resources).toEqual([kinds.lease.plural]);
  });

  test("every binding names a role and an account that are there", () => {
    for (const binding of [...ofKind("ClusterRoleBinding"), ...ofKind("RoleBinding")]) {
      const { roleRef, subjects } = binding as KubeObject & {
        roleRef: { kind: string; name: string };
        subjects: { kind: string; name: string }[];
      };
      // One role is the cluster's own.
      if (roleRef.name !== "extension-apiserver-authentication-reader")
        expect(named(roleRef.kind, roleRef.name)).toBeDefined();
      for (const { kind, name } of subjects.filter((subject) => subject.kind === "ServiceAccount")) {
        expect(named(kind, name)).toBeDefined();
      }
    }
  });
});

describe("the pod of the controllers", () => {
  test("is found by its Deployment", () => {
    expect(deployment.spec.template.metadata.labels).toMatchObject(deployment.spec.selector.matchLabels);
  });

  test("meets the restricted standard", () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    for (const { securityContext } of pod.containers) {
      expect(securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
  });

  test("is told the importer's image", () => {
    expect(pod.containers[0]?.env).toContainEqual({ name: "IMPORTER_IMAGE", value: "importer:1" });
    expect(pod.containers[0]?.image).toBe("controller:1");
  });

  test("mounts only volumes it has", () => {
    const volumes = pod.volumes?.map(({ name }) => name);
    expect(pod.containers.flatMap(({ volumeMounts }) => volumeMounts?.map(({ name }) => name) ?? [])).toEqual(volumes);
  });
});

describe("the programs that serve", () => {
  test.each([
    { name: "cdi-apiserver", image: "apiserver:1", service: "cdi-api", secrets: ["cdi-apiserver-server-cert"] },
    {
      name: "cdi-uploadproxy",
      image: "proxy:1",
      service: "cdi-uploadproxy",
      secrets: ["cdi-uploadproxy-server-cert", "cdi-uploadserver-client-cert"],
    },
  ])("$name is behind $service, with its certificates", ({ name, image, service, secrets }) => {
    const { spec } = named("Deployment", name) as typeof deployment;
    const { template, selector } = spec;
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    expect(named("Service", service)?.["spec"]).toMatchObject({
      ports: [{ port: 443, targetPort: 8443 }],
      selector: selector.matchLabels,
    });
    const [container] = template.spec.containers;
    expect(container?.image).toBe(image);
    expect(container?.securityContext).toMatchObject({ readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } });
    expect(template.spec.volumes?.flatMap(({ secret }) => secret?.secretName ?? [])).toEqual(secrets);
    const paths = container?.volumeMounts?.map(({ mountPath }) => mountPath) ?? [];
    for (const { name: variable, value } of container?.env ?? []) {
      if (variable.endsWith("_FILE")) expect(paths.some((path) => value?.startsWith(`${path}/`))).toBe(true);
    }
  });

  test("the proxy reads claims and little else", () => {
    expect(rulesOf("ClusterRole", "cdi-uploadproxy")).toEqual([
      { apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["get"] },
      { apiGroups: ["cdi.kubevirt.io"], resources: ["cdiconfigs"], verbs: ["get", "list", "watch"] },
    ]);
    expect(rulesOf("Role", "cdi-uploadproxy")).toEqual([
      { apiGroups: [""], resources: ["configmaps"], verbs: ["get"] },
    ]);
  });

  test("the upload token API is registered", () =>
    expect(named("APIService", "v1beta1.upload.cdi.kubevirt.io")?.["spec"]).toEqual({
      group: "upload.cdi.kubevirt.io",
      version: "v1beta1",
      groupPriorityMinimum: 1000,
      versionPriority: 15,
      service: { namespace: "cdi", name: "cdi-api", port: 443 },
    }));
});
