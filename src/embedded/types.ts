// The words the rooms of embedded mode share: pod logs, admission, and what the server asks of the node.
import type { KindRef, KubeObject } from "../api/meta.ts";

export interface LogOptions {
  container?: string;
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  tailLines?: number;
  sinceSeconds?: number;
  limitBytes?: number;
  signal: AbortSignal;
}

/** Served under pods/NAME/log. @throws KubeError 404 / 400 as the kubelet does */
export interface PodLogs {
  read(namespace: string, pod: string, options: LogOptions): AsyncIterable<Uint8Array>;
}

export interface AdmissionRequest {
  operation: "CREATE" | "UPDATE" | "DELETE";
  kind: KindRef;
  object: KubeObject;
  oldObject?: KubeObject;
}
/** metav1.StatusCause. */
export interface Cause {
  type: string;
  message: string;
  field: string;
}
/** Called in process before a write is stored (not on the status subresource). Complaints refuse it with 422 (admission.md). */
export type AdmissionHook = (request: AdmissionRequest, read: AdmissionReader) => Cause[];
export interface AdmissionReader {
  get(kind: KindRef, name: string, namespace?: string): KubeObject | undefined;
}
