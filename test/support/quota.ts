// A quota of the namespace that tests work in.
import { kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/meta.ts";

export const quotaRef = { kind: kinds.resourceQuota, namespace: "default", name: "small" };

/** @param hard what may be used, as in a manifest */
export const quota = (hard: Record<string, string>): KubeObject => ({
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: { name: quotaRef.name, namespace: quotaRef.namespace },
  spec: { hard },
});
