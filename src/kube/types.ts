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
  /** What the server asked to wait (Retry-After), ms; undefined when it did not. */
  readonly retryAfterMs: number | undefined;
  constructor(status: number, reason: string, message: string, options?: { cause?: unknown; retryAfterMs?: number }) {
    super(message, options);
    this.name = "KubeError";
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = options?.retryAfterMs;
  }
}
/** The wait the server asked for, ms; 0 when it asked for none. */
export const askedWaitMs = (error: unknown): number => (error instanceof KubeError && error.retryAfterMs) || 0;
export const isConflict = (error: unknown): boolean => error instanceof KubeError && error.status === 409;
export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.status === 404;
/** For good reason (quota, rights, policy, a spec it finds invalid): asked again at once, the server says the same. */
export const isRefusal = (error: unknown): error is KubeError =>
  error instanceof KubeError &&
  error.status >= 400 &&
  error.status < 500 &&
  error.status !== 409 &&
  error.status !== 429;
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
