// While a claim waits to be bound, its Bound condition repeats the claim's latest event: that is where the binder, the
// provisioner and the quota say why (interfaces/datavolume-lifecycle.md section 3, "Event mirror").
import { annotations } from "../../api/annotations.ts";
import type { Claim, KubeEvent } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { Step } from "../../kube/index.ts";
import { patchMetadata } from "./annotation-changes.ts";

/** Written by the mirror, and the mark by which it knows its own words. */
const pending = "Pending";

const prefixOf = (prime: string): string => `[${prime}] : `;

/** The latest event's text; of several of one second the longest. Events that name the prime claim come first. */
export function latestMessage(events: readonly KubeEvent[], prime: string | undefined): string | undefined {
  const told = events.toSorted((a, b) => {
    const [namesA, namesB] = [a, b].map(({ message }) => prime !== undefined && (message ?? "").includes(prime));
    if (namesA !== namesB) return namesA ? -1 : 1;
    const [timeA = "", timeB = ""] = [a.lastTimestamp, b.lastTimestamp];
    if (timeA !== timeB) return timeA < timeB ? 1 : -1;
    return (b.message ?? "").length - (a.message ?? "").length;
  });
  if (prime === undefined) return told[0]?.message;
  const text = told[0]?.message ?? "";
  const at = text.indexOf(prefixOf(prime));
  return at < 0 ? undefined : text.slice(at + prefixOf(prime).length);
}

/** The patch that keeps the three bound annotations true; none when they are, or when scratch space speaks there. */
export function mirrorEvents(claim: Claim, events: readonly KubeEvent[]): Step[] {
  const said = claim.metadata.annotations ?? {};
  const reason = said[annotations.boundConditionReason];
  if (claim.status?.phase === "Bound") {
    if (reason !== pending) return [];
    const none = {
      [annotations.boundCondition]: null,
      [annotations.boundConditionMessage]: null,
      [annotations.boundConditionReason]: null,
    };
    return patchMetadata(kinds.claim, claim, { annotations: none });
  }
  const isFree = reason === undefined || reason === pending;
  if ((claim.status?.phase ?? "Pending") !== "Pending" || !isFree) return [];
  const message = latestMessage(events, said[annotations.populatorPrime]);
  if (message === undefined) return [];
  const wanted = {
    [annotations.boundCondition]: "false",
    [annotations.boundConditionMessage]: message,
    [annotations.boundConditionReason]: pending,
  };
  return patchMetadata(kinds.claim, claim, { annotations: wanted });
}
