// What the real server fills into new objects of the other built-in kinds, and the few fields it keeps as they are.
import { copyJson } from "../../../lib/copy-json.ts";
import type { KubeObject } from "../../../api/meta.ts";
import { at, list, section, strings } from "./fields.ts";

export function fillNamespace(draft: KubeObject): void {
  section(draft, "spec")["finalizers"] = ["kubernetes"];
  draft["status"] = { phase: "Active" };
  draft.metadata.labels = { ...draft.metadata.labels, "kubernetes.io/metadata.name": draft.metadata.name ?? "" };
}

export function fillClaim(draft: KubeObject): void {
  section(draft, "spec")["volumeMode"] ??= "Filesystem";
  draft["status"] = { phase: "Pending" };
}

export function fillVolume(draft: KubeObject): void {
  const spec = section(draft, "spec");
  spec["volumeMode"] ??= "Filesystem";
  spec["persistentVolumeReclaimPolicy"] ??= "Retain";
  draft["status"] = { phase: "Pending" };
}

export function fillStorageClass(draft: KubeObject): void {
  draft["reclaimPolicy"] ??= "Delete";
  draft["volumeBindingMode"] ??= "Immediate";
}

export function fillService(draft: KubeObject): void {
  const spec = section(draft, "spec");
  spec["type"] ??= "ClusterIP";
  spec["sessionAffinity"] ??= "None";
  for (const port of list(spec, "ports")) {
    port["protocol"] ??= "TCP";
    port["targetPort"] ??= port["port"];
  }
  draft["status"] ??= { loadBalancer: {} };
}

export function fillApiService(draft: KubeObject): void {
  const spec = section(draft, "spec");
  if (spec["service"]) section(spec, "service")["port"] ??= 443;
}

/** stringData is for writing only: it becomes data. */
export function fillSecret(draft: KubeObject): void {
  draft["type"] ??= "Opaque";
  const plain = draft["stringData"];
  if (typeof plain !== "object" || plain === null) return;
  const data = section(draft, "data");
  for (const [name, value] of Object.entries(plain)) data[name] = Buffer.from(String(value)).toString("base64");
  delete draft["stringData"];
}

/** A namespace's finalizers go through its own subresource only. */
export function keepNamespaceFinalizers(draft: KubeObject, old: KubeObject): void {
  section(draft, "spec")["finalizers"] = strings(old, "spec", "finalizers");
  draft.metadata.labels = { ...draft.metadata.labels, "kubernetes.io/metadata.name": draft.metadata.name ?? "" };
}

/** Conditions of a definition are its server's. */
export function keepCrdStatus(draft: KubeObject, old: KubeObject): void {
  draft["status"] = copyJson(at(old, "status"));
}
