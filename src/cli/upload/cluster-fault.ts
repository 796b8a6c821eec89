// What the cluster says no to, and a cluster that cannot be reached, in the catalog's words.
import { KubeError } from "../../kube/index.ts";
import { Fault } from "../../lib/faults.ts";
import { connectFault } from "../../lib/http-faults.ts";

/** Of a connection's beginning; other system calls may be a file's. */
const connecting = new Set<string | undefined>(["connect", "getaddrinfo"]);

/** @returns other errors as they are */
export function clusterFault(cause: unknown): unknown {
  if (cause instanceof KubeError)
    return new Fault("UploadRefused", `the cluster answers ${cause.status}, ${cause.message}`, { cause });
  const isOfConnection = cause instanceof Error && connecting.has((cause as NodeJS.ErrnoException).syscall);
  return isOfConnection ? connectFault(cause, "tcp", "the cluster that the kubeconfig names") : cause;
}
