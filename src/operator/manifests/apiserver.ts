// The aggregated API server: its Deployment and Service, its rights, and the registration of the upload token API. The
// registration's caBundle is the controller's to write.
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { apiServiceName, services, signers } from "../../contract/install-names.ts";
import { apiServerName, clusterObject, type Install } from "./install.ts";
import { rbacGroup, rbacVersion, rule } from "./rbac.ts";
import { certificateFolder, servingObjects } from "./serving.ts";

const reviews = { apiVersion: "authorization.k8s.io/v1", kind: "", plural: "subjectaccessreviews", namespaced: false };

export function apiServerFor(install: Install): KubeObject[] {
  const folder = `${certificateFolder}/${signers.api.leaf}`;
  const [group = "", version = ""] = kinds.uploadTokenRequest.apiVersion.split("/");
  return [
    ...servingObjects(install, {
      name: apiServerName,
      service: services.api,
      image: install.images.apiserver,
      env: [
        { name: "SERVER_CERT_FILE", value: `${folder}/tls.crt` },
        { name: "SERVER_KEY_FILE", value: `${folder}/tls.key` },
      ],
      secrets: [signers.api.leaf],
      clusterRules: [rule([reviews], ["create"]), rule([kinds.cdiConfig], ["get", "list", "watch"])],
      ownRules: [rule([kinds.secret], ["get", "create"])],
    }),
    authenticationReader(install),
    clusterObject(install, kinds.apiService.apiVersion, kinds.apiService.kind, apiServiceName, {
      spec: {
        group,
        version,
        groupPriorityMinimum: 1000,
        versionPriority: 15,
        service: { namespace: install.namespace, name: services.api, port: 443 },
      },
    }),
  ];
}

/** Who may pass requests on, and by which headers, stands in a config map of the cluster's own. */
const authenticationReader = (install: Install): KubeObject => {
  const object = clusterObject(install, rbacVersion, "RoleBinding", `${apiServerName}-authentication-reader`, {
    roleRef: { apiGroup: rbacGroup, kind: "Role", name: "extension-apiserver-authentication-reader" },
    subjects: [{ kind: "ServiceAccount", name: apiServerName, namespace: install.namespace }],
  });
  return { ...object, metadata: { ...object.metadata, namespace: "kube-system" } };
};
