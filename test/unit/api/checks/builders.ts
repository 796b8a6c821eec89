// DataVolumes and claims as the tables of checks need them, and the one call they all make.
import { checkDataVolume, type DataVolumeReview } from "../../../../src/api/checks/data-volume.ts";
import type { KubeObject } from "../../../../src/api/meta.ts";

export type Fields = Record<string, unknown>;
export const url = "http://server.test/disk.qcow2";
export const long = "n".repeat(254);
export const sized = (storage: unknown): Fields => ({ resources: { requests: { storage } } });
export const pvc: Fields = { accessModes: ["ReadWriteOnce"], ...sized("1Gi") };
export const http: Fields = { url };
export const valid: Fields = { source: { http }, pvc };

export const aDataVolume = (spec: Fields, metadata: Fields = {}): KubeObject => ({
  apiVersion: "cdi.kubevirt.io/v1beta1",
  kind: "DataVolume",
  metadata: { name: "disk", namespace: "default", ...metadata },
  spec,
});
export const aClaim = (metadata: Fields = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "disk", namespace: "default", ...metadata },
});
export const create = (spec: Fields, more: Partial<DataVolumeReview> = {}) =>
  checkDataVolume({ operation: "CREATE", object: aDataVolume(spec), ...more });
export const withSource = (source: Fields, more: Fields = {}): Fields => ({ source, pvc, ...more });
export const said = (message: string, field: string, type = "FieldValueInvalid") => [{ type, message, field }];
