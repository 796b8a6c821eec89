// The built-in kinds: one row each.
import { stamp } from "../../../lib/clock.ts";
import { kinds } from "../../../api/kinds.ts";
import type { KindRef } from "../../../api/meta.ts";
import { establish } from "../custom-resource.ts";
import { groupOf, versionOf, type Column, type Resource } from "../resource.ts";
import { checkApiService, checkClaim, checkDataObject, checkDefinition, checkPod } from "./checks.ts";
import { checkBinding, checkRole, fillBinding, fillRole } from "../auth/check-roles.ts";
import * as columns from "./columns.ts";
import { podColumns } from "./pod-columns.ts";
import { fillPod } from "./pod-defaults.ts";
import * as prepare from "./prepare.ts";
import { typeSchema } from "./type-schemas.ts";

type Row = [KindRef, readonly Column[], Partial<Resource>?];

const all = ["all"];
const ofPods = [
  ...["nodeName", "restartPolicy", "schedulerName", "serviceAccountName", "hostNetwork"].map((name) => `spec.${name}`),
  ...["phase", "podIP", "nominatedNodeName"].map((name) => `status.${name}`),
];
const ofEvents = [
  ...["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map(
    (name) => `involvedObject.${name}`,
  ),
  "reason",
  "reportingComponent",
  "source",
  "type",
];
/** Answered, never stored: they can only be created. */
const asked = { verbs: ["create"] };

const rows: Row[] = [
  [
    kinds.namespace,
    columns.namespaceColumns,
    {
      shortNames: ["ns"],
      hasStatus: true,
      nameRule: "label",
      selectable: ["status.phase"],
      prepareCreate: prepare.fillNamespace,
      prepareUpdate: prepare.keepNamespaceFinalizers,
    },
  ],
  [kinds.node, columns.nodeColumns, { shortNames: ["no"], hasStatus: true, selectable: ["spec.unschedulable"] }],
  [
    kinds.pod,
    podColumns,
    {
      shortNames: ["po"],
      categories: all,
      hasStatus: true,
      selectable: ofPods,
      check: checkPod,
      prepareCreate: fillPod,
    },
  ],
  [
    kinds.claim,
    columns.claimColumns,
    { shortNames: ["pvc"], hasStatus: true, check: checkClaim, prepareCreate: prepare.fillClaim },
  ],
  [kinds.volume, columns.volumeColumns, { shortNames: ["pv"], hasStatus: true, prepareCreate: prepare.fillVolume }],
  [kinds.event, columns.eventColumns, { shortNames: ["ev"], selectable: ofEvents }],
  [kinds.configMap, columns.configMapColumns, { shortNames: ["cm"], check: checkDataObject }],
  [
    kinds.secret,
    columns.secretColumns,
    {
      selectable: ["type"],
      check: checkDataObject,
      prepareCreate: prepare.fillSecret,
      prepareUpdate: prepare.fillSecret,
    },
  ],
  [
    kinds.service,
    columns.serviceColumns,
    { shortNames: ["svc"], categories: all, hasStatus: true, nameRule: "label", prepareCreate: prepare.fillService },
  ],
  [kinds.endpoints, columns.endpointsColumns, { shortNames: ["ep"] }],
  [kinds.resourceQuota, columns.quotaColumns, { shortNames: ["quota"], hasStatus: true }],
  [kinds.serviceAccount, columns.serviceAccountColumns, { shortNames: ["sa"] }],
  [kinds.storageClass, columns.storageClassColumns, { shortNames: ["sc"], prepareCreate: prepare.fillStorageClass }],
  [kinds.csiDriver, columns.csiDriverColumns],
  [kinds.ingress, columns.ingressColumns, { shortNames: ["ing"], hasStatus: true, hasGeneration: true }],
  [
    kinds.apiService,
    columns.apiServiceColumns,
    { categories: ["api-extensions"], hasStatus: true, check: checkApiService, prepareCreate: prepare.fillApiService },
  ],
  [kinds.lease, columns.leaseColumns],
  [
    kinds.role,
    columns.roleColumns,
    { nameRule: "path", check: checkRole, prepareCreate: fillRole, prepareUpdate: fillRole },
  ],
  [
    kinds.clusterRole,
    columns.roleColumns,
    { nameRule: "path", check: checkRole, prepareCreate: fillRole, prepareUpdate: fillRole },
  ],
  [
    kinds.roleBinding,
    columns.bindingColumns,
    { nameRule: "path", check: checkBinding, prepareCreate: fillBinding, prepareUpdate: fillBinding },
  ],
  [
    kinds.clusterRoleBinding,
    columns.bindingColumns,
    { nameRule: "path", check: checkBinding, prepareCreate: fillBinding, prepareUpdate: fillBinding },
  ],
  [kinds.tokenReview, [], asked],
  [kinds.selfSubjectReview, [], asked],
  [kinds.subjectAccessReview, [], asked],
  [kinds.localSubjectAccessReview, [], asked],
  [kinds.selfSubjectAccessReview, [], asked],
  [kinds.selfSubjectRulesReview, [], asked],
  [
    kinds.crd,
    columns.crdColumns,
    {
      shortNames: ["crd", "crds"],
      categories: ["api-extensions"],
      hasStatus: true,
      hasGeneration: true,
      check: checkDefinition,
      prepareCreate(draft) {
        draft.metadata.finalizers = [...new Set([...(draft.metadata.finalizers ?? []), crdFinalizer])];
        establish(draft, stamp(Date.parse(draft.metadata.creationTimestamp ?? "")));
      },
      prepareUpdate(draft, old) {
        prepare.keepCrdStatus(draft, old);
        establish(draft, draft.metadata.creationTimestamp ?? "");
      },
    },
  ],
];

/** Held until the last object of the definition is gone. */
export const crdFinalizer = "customresourcecleanup.apiextensions.k8s.io";

export const builtins: readonly Resource[] = rows.map(([ref, cells, more]) => ({
  ...ref,
  group: groupOf(ref.apiVersion),
  version: versionOf(ref.apiVersion),
  singular: ref.kind.toLowerCase(),
  listKind: `${ref.kind}List`,
  shortNames: [],
  categories: [],
  hasStatus: false,
  custom: false,
  hasGeneration: false,
  nameRule: "subdomain",
  columns: cells,
  typed: typeSchema(ref.kind),
  ...more,
}));
