// Kubernetes messages that clients send as protobuf however little JSON would cost: what kubectl create makes, claims, and
// the options of delete. Field numbers: generated.proto of k8s.io/api and k8s.io/apimachinery.

/** A scalar, a message by its name, or "map" of text to text. `many`: repeated. */
export interface ProtoField {
  readonly name: string;
  readonly type: ScalarType | { readonly message: string };
  readonly many?: true;
}
export type ScalarType = "text" | "int" | "bool" | "bytes" | "texts" | "byteses" | "time" | "quantities";
export type ProtoMessage = Readonly<Record<number, ProtoField>>;

const text = (name: string): ProtoField => ({ name, type: "text" });
const int = (name: string): ProtoField => ({ name, type: "int" });
const bool = (name: string): ProtoField => ({ name, type: "bool" });
const time = (name: string): ProtoField => ({ name, type: "time" });
const texts = (name: string): ProtoField => ({ name, type: "text", many: true });
const textMap = (name: string): ProtoField => ({ name, type: "texts" });
const one = (name: string, message: string): ProtoField => ({ name, type: { message } });
const many = (name: string, message: string): ProtoField => ({ name, type: { message }, many: true });
const meta = one("metadata", "ObjectMeta");

export const messages: Readonly<Record<string, ProtoMessage>> = {
  ObjectMeta: {
    1: text("name"),
    2: text("generateName"),
    3: text("namespace"),
    5: text("uid"),
    6: text("resourceVersion"),
    7: int("generation"),
    8: time("creationTimestamp"),
    9: time("deletionTimestamp"),
    10: int("deletionGracePeriodSeconds"),
    11: textMap("labels"),
    12: textMap("annotations"),
    13: many("ownerReferences", "OwnerReference"),
    14: texts("finalizers"),
  },
  OwnerReference: {
    1: text("kind"),
    3: text("name"),
    4: text("uid"),
    5: text("apiVersion"),
    6: bool("controller"),
    7: bool("blockOwnerDeletion"),
  },
  Namespace: { 1: meta, 2: one("spec", "NamespaceSpec"), 3: one("status", "NamespaceStatus") },
  NamespaceSpec: { 1: texts("finalizers") },
  NamespaceStatus: { 1: text("phase") },
  ConfigMap: { 1: meta, 2: textMap("data"), 3: { name: "binaryData", type: "byteses" }, 4: bool("immutable") },
  Secret: {
    1: meta,
    2: { name: "data", type: "byteses" },
    3: text("type"),
    4: textMap("stringData"),
    5: bool("immutable"),
  },
  ServiceAccount: {
    1: meta,
    2: many("secrets", "ObjectReference"),
    3: many("imagePullSecrets", "LocalObjectReference"),
    4: bool("automountServiceAccountToken"),
  },
  ObjectReference: {
    1: text("kind"),
    2: text("namespace"),
    3: text("name"),
    4: text("uid"),
    5: text("apiVersion"),
    6: text("resourceVersion"),
    7: text("fieldPath"),
  },
  LocalObjectReference: { 1: text("name") },
  PersistentVolumeClaim: {
    1: meta,
    2: one("spec", "PersistentVolumeClaimSpec"),
    3: one("status", "PersistentVolumeClaimStatus"),
  },
  PersistentVolumeClaimSpec: {
    1: texts("accessModes"),
    2: one("resources", "VolumeResourceRequirements"),
    3: text("volumeName"),
    4: one("selector", "LabelSelector"),
    5: text("storageClassName"),
    6: text("volumeMode"),
    7: one("dataSource", "TypedLocalObjectReference"),
    8: one("dataSourceRef", "TypedObjectReference"),
    9: text("volumeAttributesClassName"),
  },
  PersistentVolumeClaimStatus: {
    1: text("phase"),
    2: texts("accessModes"),
    3: { name: "capacity", type: "quantities" },
  },
  VolumeResourceRequirements: {
    1: { name: "limits", type: "quantities" },
    2: { name: "requests", type: "quantities" },
  },
  ResourceQuota: { 1: meta, 2: one("spec", "ResourceQuotaSpec"), 3: one("status", "ResourceQuotaStatus") },
  ResourceQuotaSpec: { 1: { name: "hard", type: "quantities" }, 2: texts("scopes") },
  ResourceQuotaStatus: { 1: { name: "hard", type: "quantities" }, 2: { name: "used", type: "quantities" } },
  LabelSelector: { 1: textMap("matchLabels"), 2: many("matchExpressions", "LabelSelectorRequirement") },
  LabelSelectorRequirement: { 1: text("key"), 2: text("operator"), 3: texts("values") },
  TypedLocalObjectReference: { 1: text("apiGroup"), 2: text("kind"), 3: text("name") },
  TypedObjectReference: { 1: text("apiGroup"), 2: text("kind"), 3: text("name"), 4: text("namespace") },
  DeleteOptions: {
    1: int("gracePeriodSeconds"),
    2: one("preconditions", "Preconditions"),
    3: bool("orphanDependents"),
    4: text("propagationPolicy"),
    5: texts("dryRun"),
  },
  Preconditions: { 1: text("uid"), 2: text("resourceVersion") },
  Role: { 1: meta, 2: many("rules", "PolicyRule") },
  ClusterRole: { 1: meta, 2: many("rules", "PolicyRule"), 3: one("aggregationRule", "AggregationRule") },
  AggregationRule: { 1: many("clusterRoleSelectors", "LabelSelector") },
  PolicyRule: {
    1: texts("verbs"),
    2: texts("apiGroups"),
    3: texts("resources"),
    4: texts("resourceNames"),
    5: texts("nonResourceURLs"),
  },
  RoleBinding: { 1: meta, 2: many("subjects", "Subject"), 3: one("roleRef", "RoleRef") },
  ClusterRoleBinding: { 1: meta, 2: many("subjects", "Subject"), 3: one("roleRef", "RoleRef") },
  RoleRef: { 1: text("apiGroup"), 2: text("kind"), 3: text("name") },
  Subject: { 1: text("kind"), 2: text("apiGroup"), 3: text("name"), 4: text("namespace") },
  SubjectAccessReview: { 1: meta, 2: one("spec", "SubjectAccessReviewSpec") },
  LocalSubjectAccessReview: { 1: meta, 2: one("spec", "SubjectAccessReviewSpec") },
  SelfSubjectAccessReview: { 1: meta, 2: one("spec", "SubjectAccessReviewSpec") },
  // The extras of a user are left out: no rule reads them.
  SubjectAccessReviewSpec: {
    1: one("resourceAttributes", "ResourceAttributes"),
    2: one("nonResourceAttributes", "NonResourceAttributes"),
    3: text("user"),
    4: texts("groups"),
    6: text("uid"),
  },
  ResourceAttributes: {
    1: text("namespace"),
    2: text("verb"),
    3: text("group"),
    4: text("version"),
    5: text("resource"),
    6: text("subresource"),
    7: text("name"),
  },
  NonResourceAttributes: { 1: text("path"), 2: text("verb") },
  SelfSubjectRulesReview: { 1: meta, 2: one("spec", "SelfSubjectRulesReviewSpec") },
  SelfSubjectRulesReviewSpec: { 1: text("namespace") },
  SelfSubjectReview: { 1: meta },
  TokenReview: { 1: meta, 2: one("spec", "TokenReviewSpec") },
  TokenReviewSpec: { 1: text("token"), 2: texts("audiences") },
  TokenRequest: { 1: meta, 2: one("spec", "TokenRequestSpec") },
  TokenRequestSpec: {
    1: texts("audiences"),
    3: one("boundObjectRef", "BoundObjectReference"),
    4: int("expirationSeconds"),
  },
  BoundObjectReference: { 1: text("kind"), 2: text("apiVersion"), 3: text("name"), 4: text("uid") },
};

/** Messages that may stand alone as a body. */
export const bodies: readonly string[] = (
  "Namespace ConfigMap Secret ServiceAccount PersistentVolumeClaim ResourceQuota " +
  "DeleteOptions Role ClusterRole RoleBinding ClusterRoleBinding " +
  "SubjectAccessReview LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SelfSubjectReview " +
  "TokenReview TokenRequest"
).split(" ");
