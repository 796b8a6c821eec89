// The words of the client interface and of plans: what a reconciler may ask of a cluster.
import type { Key, KindRef, KubeObject } from "../api/meta.ts";

export interface KeyedRef extends Key {
  readonly kind: KindRef;
}

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
}

export interface KubeList {
  resourceVersion: string;
  items: KubeObject[];
  continue?: string;
}

export type WatchEvent =
  { type: "ADDED" | "MODIFIED" | "DELETED"; object: KubeObject } | { type: "BOOKMARK"; object: KubeObject };

export type PatchKind = "merge" | "strategic" | "json";
export interface WriteOptions {
  subresource?: "status";
}

/** A refusal of the API server. `reason` is metav1.StatusReason ("Conflict", "AlreadyExists", "Forbidden", ...). */
export class KubeError extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "KubeError";
    this.status = status;
    this.reason = reason;
  }
}
export const isConflict = (error: unknown): boolean => error instanceof KubeError && error.status === 409;
export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.status === 404;
export const isAlreadyExists = (error: unknown): boolean =>
  isConflict(error) && (error as KubeError).reason === "AlreadyExists";

/** One write, as data. `apply` performs, logs, counts and tells. */
export type Step =
  | { do: "create"; kind: KindRef; object: KubeObject }
  | {
      do: "patch";
      ref: KeyedRef;
      body: object;
      subresource?: "status";
      /** metadata.resourceVersion seen; a stale one ends the run */ resourceVersion?: string;
    }
  | { do: "delete"; ref: KeyedRef; uid: string }
  | { do: "tell"; about: KubeObject; type: "Normal" | "Warning"; reason: string; message: string };

export interface Plan {
  steps: Step[];
  /** Look again after this many milliseconds even if nothing changes. */
  lookAgainInMs?: number;
}
