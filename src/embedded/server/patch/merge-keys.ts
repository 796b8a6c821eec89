// The lists of built-in kinds that a strategic patch merges: by key, or as a set. Source: the patchStrategy and
// patchMergeKey tags of k8s.io/api. Lists are named by their field; where one name means two things, by parent and field.

export type ListRule = { key: string } | "set";

const rules: Readonly<Record<string, ListRule>> = {
  "metadata.finalizers": "set",
  "metadata.ownerReferences": { key: "uid" },
  "spec.finalizers": "set",
  containers: { key: "name" },
  initContainers: { key: "name" },
  ephemeralContainers: { key: "name" },
  env: { key: "name" },
  volumes: { key: "name" },
  volumeMounts: { key: "mountPath" },
  volumeDevices: { key: "devicePath" },
  "spec.ports": { key: "port" },
  ports: { key: "containerPort" },
  hostAliases: { key: "ip" },
  imagePullSecrets: { key: "name" },
  topologySpreadConstraints: { key: "topologyKey" },
  conditions: { key: "type" },
  podIPs: { key: "ip" },
  hostIPs: { key: "ip" },
  addresses: { key: "type" },
  secrets: { key: "name" },
  taints: { key: "key" },
};

/** @returns undefined for a list that a patch replaces whole */
export const listRule = (parent: string, field: string): ListRule | undefined =>
  rules[`${parent}.${field}`] ?? rules[field];
