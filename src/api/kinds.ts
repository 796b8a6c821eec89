// The kinds this project reads or writes, and where each is served.
import type { KindRef } from "./meta.ts";

const core = (kind: string, plural: string, namespaced = true): KindRef => ({
  apiVersion: "v1",
  kind,
  plural,
  namespaced,
});

export const cdiGroup = "cdi.kubevirt.io";
export const cdiVersion = "v1beta1";
const cdi = (kind: string, plural: string, namespaced: boolean): KindRef => ({
  apiVersion: `${cdiGroup}/${cdiVersion}`,
  kind,
  plural,
  namespaced,
});

const rbac = (kind: string, plural: string, namespaced: boolean): KindRef => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  plural,
  namespaced,
});

/** Kinds that are only ever asked, never stored. */
const asked = (group: string, kind: string, plural: string, namespaced = false): KindRef => ({
  apiVersion: `${group}.k8s.io/v1`,
  kind,
  plural,
  namespaced,
});

export const kinds = {
  namespace: core("Namespace", "namespaces", false),
  node: core("Node", "nodes", false),
  pod: core("Pod", "pods"),
  claim: core("PersistentVolumeClaim", "persistentvolumeclaims"),
  volume: core("PersistentVolume", "persistentvolumes", false),
  event: core("Event", "events"),
  configMap: core("ConfigMap", "configmaps"),
  secret: core("Secret", "secrets"),
  service: core("Service", "services"),
  endpoints: core("Endpoints", "endpoints"),
  serviceAccount: core("ServiceAccount", "serviceaccounts"),
  resourceQuota: core("ResourceQuota", "resourcequotas"),
  storageClass: { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", plural: "storageclasses", namespaced: false },
  csiDriver: { apiVersion: "storage.k8s.io/v1", kind: "CSIDriver", plural: "csidrivers", namespaced: false },
  lease: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", plural: "leases", namespaced: true },
  crd: {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    namespaced: false,
  },
  apiService: {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    plural: "apiservices",
    namespaced: false,
  },
  ingress: { apiVersion: "networking.k8s.io/v1", kind: "Ingress", plural: "ingresses", namespaced: true },
  /** OpenShift's. */
  route: { apiVersion: "route.openshift.io/v1", kind: "Route", plural: "routes", namespaced: true },
  uploadTokenRequest: {
    apiVersion: `upload.${cdiGroup}/${cdiVersion}`,
    kind: "UploadTokenRequest",
    plural: "uploadtokenrequests",
    namespaced: true,
  },
  role: rbac("Role", "roles", true),
  roleBinding: rbac("RoleBinding", "rolebindings", true),
  clusterRole: rbac("ClusterRole", "clusterroles", false),
  clusterRoleBinding: rbac("ClusterRoleBinding", "clusterrolebindings", false),
  tokenRequest: asked("authentication", "TokenRequest", "tokenrequests"),
  tokenReview: asked("authentication", "TokenReview", "tokenreviews"),
  selfSubjectReview: asked("authentication", "SelfSubjectReview", "selfsubjectreviews"),
  subjectAccessReview: asked("authorization", "SubjectAccessReview", "subjectaccessreviews"),
  localSubjectAccessReview: asked("authorization", "LocalSubjectAccessReview", "localsubjectaccessreviews", true),
  selfSubjectAccessReview: asked("authorization", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
  selfSubjectRulesReview: asked("authorization", "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
  dataVolume: cdi("DataVolume", "datavolumes", true),
  cdiConfig: cdi("CDIConfig", "cdiconfigs", false),
  storageProfile: cdi("StorageProfile", "storageprofiles", false),
} as const satisfies Record<string, KindRef>;
