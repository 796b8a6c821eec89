// Who uses a claim beside us: a claim in use is not filled.
import type { Claim, Pod } from "../../api/core.ts";
import { indexNames, type World } from "../world.ts";

/** Live pods, not ours, that mount the claim: "namespace/name", sorted. */
export function usersOf(world: World, claim: Claim, own: Pod | undefined): string[] {
  const mounting = world.pods.byIndex(
    indexNames.claim,
    `${claim.metadata.namespace ?? ""}/${claim.metadata.name ?? ""}`,
  ) as Pod[];
  return mounting
    .filter(
      (pod) => pod.metadata.uid !== own?.metadata.uid && !["Succeeded", "Failed"].includes(pod.status?.phase ?? ""),
    )
    .map((pod) => `${pod.metadata.namespace ?? ""}/${pod.metadata.name ?? ""}`)
    .toSorted();
}

/** Upstream's words, one for each. */
export const inUseText = (claim: Claim, users: readonly string[]): string =>
  users.map((user) => `pod ${user} using PersistentVolumeClaim ${claim.metadata.name ?? ""}`).join(", ");
