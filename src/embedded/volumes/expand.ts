// A bound claim that asks for more than its volume has: the volume's object grows first, then the bytes, and the claim says so
// last. Each step may be done again after a crash.
import { kinds } from "../../api/kinds.ts";
import { parseQuantity } from "../../lib/quantity.ts";
import type { KubeClient } from "../../kube/index.ts";
import type { Teller } from "../tell.ts";
import { wholeSize } from "./backing.ts";
import { isOurs, modeOf, requestOf, type Claim, type Volume } from "./objects.ts";

export interface ExpandWorld {
  client: KubeClient;
  /** Grows the bytes behind a volume. @returns false while pods hold its file system: it grows when they have let go */
  grow(volume: Volume, bytes: number): Promise<boolean>;
  teller: Teller;
}

interface ClaimCondition {
  type: string;
  status: string;
  message?: string;
}

interface ClaimStatus {
  phase?: string;
  capacity?: { storage?: string };
  conditions?: ClaimCondition[];
}

const pendingType = "FileSystemResizePending";
const pendingMessage = "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";

const bytesOf = (capacity: { storage?: string } | undefined): number => parseQuantity(capacity?.storage ?? "") ?? 0;
const statusOf = (claim: Claim): ClaimStatus => (claim.status as ClaimStatus | undefined) ?? {};

/** @returns bytes the claim should come to have; undefined when it has them */
export function wantedBytes(claim: Claim, volume: Volume): number | undefined {
  const asked = requestOf(claim);
  if (asked === undefined || !isOurs(volume)) return undefined;
  const wanted = wholeSize(asked);
  return bytesOf(statusOf(claim).capacity) < wanted ? wanted : undefined;
}

export async function expandClaim(world: ExpandWorld, claim: Claim, volume: Volume): Promise<void> {
  const bytes = wantedBytes(claim, volume);
  if (bytes === undefined) return;
  const { client, teller } = world;
  const asked = claim.spec.resources?.requests?.storage ?? "";
  const capacity = { storage: bytes === requestOf(claim) ? asked : String(bytes) };
  const volumeRef = { kind: kinds.volume, name: volume.metadata.name ?? "" };
  if (bytesOf(volume.spec.capacity) < bytes) await client.patch(volumeRef, { spec: { capacity } }, { type: "merge" });
  const isGrown = await world.grow(volume, bytes);
  const { conditions = [] } = statusOf(claim);
  const others = conditions.filter(({ type }) => type !== pendingType);
  const setStatus = (status: object) =>
    client.patch(
      { kind: kinds.claim, namespace: claim.metadata.namespace ?? "", name: claim.metadata.name ?? "" },
      { status },
      { type: "merge", subresource: "status" },
    );
  if (!isGrown) {
    if (others.length < conditions.length) return;
    const pending = { type: pendingType, status: "True", lastTransitionTime: null, message: pendingMessage };
    await setStatus({ conditions: [...others, pending] });
    const message = "Require file system resize of volume on node";
    teller.tell(claim, { type: "Normal", reason: "FileSystemResizeRequired", message });
    return;
  }
  await setStatus({ capacity, conditions: others.length > 0 ? others : null });
  const isFiles = modeOf(volume) === "Filesystem";
  const [reason, message] = isFiles
    ? ["FileSystemResizeSuccessful", `MountVolume.NodeExpandVolume succeeded for volume "${volume.metadata.name}"`]
    : ["VolumeResizeSuccessful", "Resize volume succeeded"];
  teller.tell(claim, { type: "Normal", reason, message });
}
