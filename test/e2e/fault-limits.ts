// The rows of fault-rows.ts that need a cluster of their own.
export const limitRows: readonly string[] = [
  "killed at the memory limit",
  "the claim would exceed a quota",
  "the pod would exceed a quota",
  "the scratch claim would exceed a quota",
];
