// The whole status of a DataVolume from what is true now, and the events its changes bring. Pure.
import { annotations } from "../../../api/annotations.ts";
import { conditionOf, saysTheSame } from "../../../api/conditions.ts";
import type { Claim } from "../../../api/core.ts";
import type { DataVolume, DataVolumeStatus, Transfer } from "../../../api/data-volume.ts";
import type { Condition } from "../../../api/meta.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";
import { FAULTS, type FaultCode } from "../../../lib/faults.ts";
import { isSame, mergeDiff, type Step } from "../../../kube/index.ts";
import { scratchText } from "../../parts/running-condition.ts";
import type { Reading } from "../../parts/scrape.ts";
import { tellOf } from "../../parts/steps.ts";
import { conditionsOf, type Forced } from "./conditions.ts";
import type { ClaimProgress, Flow, PhaseChange, PhaseEvent } from "../flow.ts";
import { flowOf } from "../flows.ts";
import { phaseOf } from "./phase.ts";

export interface StatusFacts {
  dataVolume: DataVolume;
  claim: Claim | undefined;
  forced?: Forced | undefined;
  needsWork: boolean;
  waitsForConsumer: boolean;
  reading: Reading | undefined;
}

export interface ComputedStatus {
  status: DataVolumeStatus;
  /** To be told after the status was written. */
  events: Step[];
}

export function computeStatus(facts: StatusFacts, nowMs: number): ComputedStatus {
  const { dataVolume, claim, forced, reading } = facts;
  const flow = flowOf(dataVolume);
  if (!flow) throw new Error("nothing is known of the source of this DataVolume");
  const before = dataVolume.status ?? {};
  const { phase, event } = phaseFrom(flow, facts, before.phase ?? "");
  const conditions = conditionsOf(before.conditions ?? [], { flow, phase, claim, forced }, nowMs);
  const generation = dataVolume.metadata.generation;
  const { restartCount, transfer, ...kept } = before;
  const isRenewed = claim !== undefined && !forced;
  const status: DataVolumeStatus = {
    ...kept,
    ...(isRenewed || restartCount === undefined ? {} : { restartCount }),
    ...(isRenewed ? {} : withFault(transfer, forced?.code)),
    phase,
    conditions,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(isRenewed ? fromClaim(flow, { claim, phase, before, reading }) : {}),
  };
  const events = [
    ...changeOfPhase(facts, phase, event),
    ...changesOfConditions(dataVolume, before.conditions ?? [], conditions),
  ];
  return { status, events };
}

/** What stands of an earlier transfer, and what keeps the next from beginning. */
function withFault(transfer: Transfer | undefined, code: FaultCode | undefined): Pick<DataVolumeStatus, "transfer"> {
  if (!code) return transfer === undefined ? {} : { transfer };
  return { transfer: { ...transfer, code, remedy: FAULTS[code].remedy } };
}

function phaseFrom(flow: Flow, facts: StatusFacts, before: DataVolumePhase): PhaseChange {
  const { claim, forced, needsWork, waitsForConsumer } = facts;
  if (forced)
    return { phase: forced.phase, event: { type: "Warning", reason: forced.reason, message: forced.message } };
  if (claim) return phaseOf({ flow, phase: before, claim, needsWork, waitsForConsumer });
  const isNew = before === "" || facts.dataVolume.metadata.annotations?.[annotations.prePopulated] !== undefined;
  return { phase: isNew ? "Pending" : before };
}

function fromClaim(flow: Flow, facts: ClaimProgress): DataVolumeStatus {
  const { claim } = facts;
  const restarts = Number(claim.metadata.annotations?.[annotations.podRestarts] ?? 0);
  const from: DataVolumeStatus = { claimName: claim.metadata.name ?? "", ...flow.progress(facts) };
  if (Number.isInteger(restarts) && restarts > 0) from.restartCount = restarts;
  return from;
}

function changeOfPhase(
  { dataVolume, forced }: StatusFacts,
  phase: DataVolumePhase,
  event: PhaseEvent | undefined,
): Step[] {
  const before = dataVolume.status?.phase ?? "";
  // A claim that cannot be made leaves the phase: what changes then is Bound's text.
  const bound = conditionOf(dataVolume.status?.conditions, "Bound");
  const isNews = forced ? bound?.reason !== forced.reason || bound.message !== forced.message : before !== phase;
  return event && isNews ? [tellOf(dataVolume, event.type, event.reason, event.message)] : [];
}

function changesOfConditions(
  dataVolume: DataVolume,
  before: readonly Condition[],
  after: readonly Condition[],
): Step[] {
  const [bound, ready, running, stalled] = ["Bound", "Ready", "Running", "Stalled"].map((type) =>
    conditionOf(after, type),
  );
  const changed = (condition: Condition | undefined): condition is Condition => {
    const was = condition && conditionOf(before, condition.type);
    return condition !== undefined && (!was || !saysTheSame(was, condition));
  };
  const events: Step[] = [];
  if (changed(bound) && bound.reason) events.push(tellOf(dataVolume, "Normal", bound.reason, bound.message ?? ""));
  const isStill = ready?.status === "False" && running?.status === "False" && bound?.status === "True";
  if (isStill && changed(running) && running.message && running.message !== scratchText) {
    events.push(tellOf(dataVolume, "Warning", running.reason ?? "", running.message));
  }
  if (changed(stalled) && stalled.status === "True" && stalled.reason !== bound?.reason) {
    events.push(tellOf(dataVolume, "Warning", stalled.reason ?? "", stalled.message ?? ""));
  }
  return events;
}

/** Fields of ours that an older release's schema drops. */
export const additions = ["transfer", "observedGeneration"] as const;
export type Addition = (typeof additions)[number];

/**
 * The merge patch that writes `after`; undefined when nothing that the served schema keeps would change. A dropped field
 * alone never causes a write: it would come back dropped, for ever.
 */
export function statusPatch(
  before: DataVolumeStatus | undefined,
  after: DataVolumeStatus,
  dropped: ReadonlySet<Addition>,
): object | undefined {
  const kept = (status: DataVolumeStatus | undefined): object =>
    Object.fromEntries(Object.entries(status ?? {}).filter(([field]) => !dropped.has(field as Addition)));
  if (isSame(kept(before), kept(after))) return undefined;
  return mergeDiff(before, after as Record<string, unknown>);
}
