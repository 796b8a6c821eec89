// What the cluster says no to, and a cluster that cannot be reached, in the catalog's words.
import { KubeError } from "../../kube/index.ts";
import { Fault } from "../../lib/faults.ts";
import { connectFault } from "../../lib/http-faults.ts";

/** It will say the same the next time. */
export const isRefusal = (cause: unknown): cause is KubeError =>
  cause instanceof KubeError && cause.status >= 400 && cause.status < 500 && ![408, 409, 429].includes(cause.status);

export const refusedByCluster = (cause: KubeError): Fault =>
  new Fault("UploadRefused", `the cluster answers ${cause.status}, ${cause.message}`, { cause });

/** @returns other errors as they are */
export function clusterFault(cause: unknown): unknown {
  if (cause instanceof KubeError) return refusedByCluster(cause);
  const isOfConnection = cause instanceof Error && typeof (cause as NodeJS.ErrnoException).syscall === "string";
  return isOfConnection ? connectFault(cause, "tcp", "the cluster that the kubeconfig names") : cause;
}
