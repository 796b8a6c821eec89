// Columns of the other built-in kinds, as the real server prints them.
import type { KubeObject } from "../../../api/meta.ts";
import { ageColumn, nameColumn } from "../custom-resource.ts";
import { ageOf } from "../human-age.ts";
import type { Column } from "../resource.ts";
import { at, list, strings, text } from "./fields.ts";

const column = (name: string, cell: Column["cell"], priority = 0): Column => ({
  name,
  type: "string",
  ...(priority ? { priority } : {}),
  cell,
});
/** A column that shows one field. */
const field = (name: string, path: string, otherwise = "", priority = 0): Column =>
  column(name, (object) => text(object, ...path.split(".")) || otherwise, priority);
const countOf = (value: unknown): number => Object.keys(value ?? {}).length;
const counting = (name: string, ...fields: string[]): Column => ({
  name,
  type: "string",
  cell: (object) => fields.reduce((sum, one) => sum + countOf(object[one]), 0),
});

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const accessModes = (modes: string[]): string => modes.map((mode) => shortModes[mode] ?? mode).join(",");
const terminatingOr = (object: KubeObject, word: string): string =>
  object.metadata.deletionTimestamp ? "Terminating" : word;
const isDefault = (object: KubeObject): boolean =>
  object.metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true";

export const plainColumns: Column[] = [nameColumn, ageColumn];

export const namespaceColumns: Column[] = [nameColumn, field("Status", "status.phase"), ageColumn];

export const claimColumns: Column[] = [
  nameColumn,
  column("Status", (claim) => terminatingOr(claim, text(claim, "status", "phase"))),
  field("Volume", "spec.volumeName"),
  column("Capacity", (claim) =>
    text(claim, "spec", "volumeName") ? text(claim, "status", "capacity", "storage") : "",
  ),
  column("Access Modes", (claim) =>
    text(claim, "spec", "volumeName") ? accessModes(strings(claim, "status", "accessModes")) : "",
  ),
  column("StorageClass", (claim) => text(claim, "spec", "storageClassName")),
  field("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>"),
  ageColumn,
  field("VolumeMode", "spec.volumeMode", "Filesystem", 1),
];

export const volumeColumns: Column[] = [
  nameColumn,
  field("Capacity", "spec.capacity.storage"),
  column("Access Modes", (volume) => accessModes(strings(volume, "spec", "accessModes"))),
  field("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
  column("Status", (volume) => terminatingOr(volume, text(volume, "status", "phase"))),
  column("Claim", (volume) => {
    const claim = at(volume, "spec", "claimRef");
    return claim === undefined ? "" : `${text(claim, "namespace")}/${text(claim, "name")}`;
  }),
  field("StorageClass", "spec.storageClassName"),
  field("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>"),
  field("Reason", "status.reason"),
  ageColumn,
  field("VolumeMode", "spec.volumeMode", "Filesystem", 1),
];

const lastSeen = (event: KubeObject): unknown =>
  at(event, "series", "lastObservedTime") ??
  at(event, "lastTimestamp") ??
  at(event, "eventTime") ??
  at(event, "firstTimestamp");
const source = (event: KubeObject): string => {
  const component = text(event, "source", "component") || text(event, "reportingComponent");
  const host = text(event, "source", "host");
  return host ? `${component}, ${host}` : component;
};

export const eventColumns: Column[] = [
  column("Last Seen", (event, now) => ageOf(lastSeen(event), now)),
  field("Type", "type"),
  field("Reason", "reason"),
  column("Object", (event) => {
    const kind = text(event, "involvedObject", "kind").toLowerCase();
    return `${kind}/${text(event, "involvedObject", "name")}`;
  }),
  field("Subobject", "involvedObject.fieldPath", "", 1),
  column("Source", source, 1),
  column("Message", (event) => text(event, "message").trim()),
  column("First Seen", (event, now) => ageOf(at(event, "firstTimestamp") ?? at(event, "eventTime"), now), 1),
  column("Count", (event) => text(event, "count") || "1", 1),
  { ...nameColumn, priority: 1 },
];

export const storageClassColumns: Column[] = [
  column("Name", (one) => `${one.metadata.name ?? ""}${isDefault(one) ? " (default)" : ""}`),
  field("Provisioner", "provisioner"),
  field("ReclaimPolicy", "reclaimPolicy", "Delete"),
  field("VolumeBindingMode", "volumeBindingMode", "Immediate"),
  column("AllowVolumeExpansion", (one) => text(one, "allowVolumeExpansion") || "false"),
  ageColumn,
];

export const nodeColumns: Column[] = [
  nameColumn,
  column("Status", (node) => {
    const ready = list(node, "status", "conditions").find(({ type }) => type === "Ready");
    const word = ready?.["status"] === "True" ? "Ready" : ready ? "NotReady" : "Unknown";
    return at(node, "spec", "unschedulable") === true ? `${word},SchedulingDisabled` : word;
  }),
  column("Roles", (node) => {
    const prefix = "node-role.kubernetes.io/";
    const roles = Object.keys(node.metadata.labels ?? {}).filter((label) => label.startsWith(prefix));
    return roles.map((label) => label.slice(prefix.length)).join(",") || "<none>";
  }),
  ageColumn,
  field("Version", "status.nodeInfo.kubeletVersion"),
  column(
    "Internal-IP",
    (node) =>
      text(
        list(node, "status", "addresses").find(({ type }) => type === "InternalIP"),
        "address",
      ) || "<none>",
    1,
  ),
  field("OS-Image", "status.nodeInfo.osImage", "<unknown>", 1),
  field("Kernel-Version", "status.nodeInfo.kernelVersion", "<unknown>", 1),
  field("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", "<unknown>", 1),
];

const ports = (service: KubeObject): string =>
  list(service, "spec", "ports")
    .map((port) => `${text(port, "port")}/${text(port, "protocol") || "TCP"}`)
    .join(",") || "<none>";
const selector = (service: KubeObject): string =>
  Object.entries((at(service, "spec", "selector") ?? {}) as Record<string, string>)
    .map(([name, value]) => `${name}=${value}`)
    .join(",") || "<none>";
export const serviceColumns: Column[] = [
  nameColumn,
  field("Type", "spec.type", "ClusterIP"),
  field("Cluster-IP", "spec.clusterIP", "<none>"),
  column("External-IP", () => "<none>"),
  column("Port(s)", ports),
  ageColumn,
  column("Selector", selector, 1),
];
export const endpointsColumns: Column[] = [
  nameColumn,
  column("Endpoints", (endpoints) => {
    const pairs = list(endpoints, "subsets").flatMap((subset) =>
      list(subset, "addresses").flatMap((address) =>
        list(subset, "ports").map((port) => `${text(address, "ip")}:${text(port, "port")}`),
      ),
    );
    return pairs.join(",") || "<none>";
  }),
  ageColumn,
];

export const ingressColumns: Column[] = [
  nameColumn,
  field("Class", "spec.ingressClassName", "<none>"),
  column("Hosts", (ingress) => {
    const hosts = list(ingress, "spec", "rules").map((rule) => text(rule, "host") || "*");
    return hosts.join(",") || "*";
  }),
  column("Address", () => ""),
  column("Ports", (ingress) => (list(ingress, "spec", "tls").length > 0 ? "80, 443" : "80")),
  ageColumn,
];
export const apiServiceColumns: Column[] = [
  nameColumn,
  column("Service", (one) => {
    const [namespace, name] = ["namespace", "name"].map((part) => text(one, "spec", "service", part));
    return name ? `${namespace}/${name}` : "Local";
  }),
  column("Available", (one) => {
    const available = list(one, "status", "conditions").find((condition) => text(condition, "type") === "Available");
    const status = text(available, "status");
    return status === "True" ? status : `${status || "Unknown"} (${text(available, "reason")})`;
  }),
  ageColumn,
];

export const configMapColumns: Column[] = [nameColumn, counting("Data", "data", "binaryData"), ageColumn];
export const secretColumns: Column[] = [nameColumn, field("Type", "type"), counting("Data", "data"), ageColumn];
export const serviceAccountColumns: Column[] = [nameColumn, counting("Secrets", "secrets"), ageColumn];
/** "requests.storage: 1Gi/5Gi, ...", of limits or of all else. */
const quotaSide = (quota: KubeObject, ofLimits: boolean): string =>
  Object.entries((at(quota, "status", "hard") ?? {}) as Record<string, string>)
    .filter(([key]) => key.startsWith("limits.") === ofLimits)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, hard]) => `${key}: ${text(at(quota, "status", "used"), key) || "0"}/${hard}`)
    .join(", ");
export const quotaColumns: Column[] = [
  nameColumn,
  column("Request", (quota) => quotaSide(quota, false)),
  column("Limit", (quota) => quotaSide(quota, true)),
  ageColumn,
];
export const leaseColumns: Column[] = [nameColumn, field("Holder", "spec.holderIdentity"), ageColumn];
export const csiDriverColumns: Column[] = [
  nameColumn,
  column("AttachRequired", (driver) => text(driver, "spec", "attachRequired") || "true"),
  column("PodInfoOnMount", (driver) => text(driver, "spec", "podInfoOnMount") || "false"),
  ageColumn,
];
export const crdColumns: Column[] = [
  nameColumn,
  { name: "Created At", type: "date", cell: (crd) => crd.metadata.creationTimestamp ?? null },
];

const created: Column = { name: "Created At", type: "date", cell: (one) => one.metadata.creationTimestamp ?? null };
export const roleColumns: Column[] = [nameColumn, created];

const subjectsOf = (kind: string) => (binding: KubeObject) =>
  list(binding, "subjects")
    .filter((subject) => subject["kind"] === kind)
    .map((subject) => [text(subject, "namespace"), text(subject, "name")].filter((word) => word !== "").join("/"))
    .join(", ");
export const bindingColumns: Column[] = [
  nameColumn,
  column("Role", (binding) => `${text(binding, "roleRef", "kind")}/${text(binding, "roleRef", "name")}`),
  ageColumn,
  column("Users", subjectsOf("User"), 1),
  column("Groups", subjectsOf("Group"), 1),
  column("ServiceAccounts", subjectsOf("ServiceAccount"), 1),
];
