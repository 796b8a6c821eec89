// The namespace of the installation; its own pods meet the strictest pod security.
import { clusterObject, type Install } from "./install.ts";
import type { KubeObject } from "../../api/meta.ts";

export function namespaceFor(install: Install): KubeObject {
  const object = clusterObject(install, "v1", "Namespace", install.namespace);
  const security = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
  };
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...security } } };
}
