// Bound, Ready and Running in upstream's words and order (interfaces/datavolume-lifecycle.md section 3), and kstatus's
// Reconciling and Stalled beside them.
import { annotations } from "../../../api/annotations.ts";
import {
  conditionKind,
  mirroredCondition,
  type ConditionChange,
  type ConditionStatus,
} from "../../../api/conditions.ts";
import type { Claim } from "../../../api/core.ts";
import type { Condition } from "../../../api/meta.ts";
import type { DataVolumePhase } from "../../../api/phases.ts";
import { FAULTS, type FaultCode } from "../../../lib/faults.ts";
import { faultCodeOf } from "../../parts/fault-of-claim.ts";
import type { Flow } from "../flow.ts";

/** Something the DataVolume side found by itself: said in the Bound condition while there is no claim. */
export interface Forced {
  phase: DataVolumePhase;
  reason: string;
  message: string;
  /** Where the catalog has a word for it. */
  code?: FaultCode | undefined;
}

export interface ConditionFacts {
  flow: Flow;
  phase: DataVolumePhase;
  claim: Claim | undefined;
  forced: Forced | undefined;
}

interface Said {
  status: ConditionStatus;
  reason: string;
  message: string;
}
const say = (status: ConditionStatus, reason: string, message: string): Said => ({ status, reason, message });

const bound = mirroredCondition("Bound");
const running = mirroredCondition("Running");
const ready = mirroredCondition("Ready");
const reconciling = conditionKind("Reconciling", ["Importing", "Uploading", "Succeeded", "Failed"]);
/** Reasons are the catalog's codes, and upstream's words for a claim that cannot be made. */
const stalled = mirroredCondition("Stalled");

export function conditionsOf(before: readonly Condition[], facts: ConditionFacts, nowMs: number): Condition[] {
  const [isBound, isRunning] = [boundOf(facts), runningOf(facts.claim)];
  const isReady = readyOf(facts, isRunning);
  const isStalled = stalledOf(facts);
  const changes: ConditionChange[] = [
    bound(isBound.status, isBound.reason, isBound.message, nowMs),
    ready(isReady.status, isReady.reason, isReady.message, nowMs),
    running(isRunning.status, isRunning.reason, isRunning.message, nowMs),
    reconcilingOf(facts)(nowMs),
    stalled(isStalled.status, isStalled.reason, isStalled.message, nowMs),
  ];
  return changes.reduce<readonly Condition[]>((conditions, change) => change(conditions), before) as Condition[];
}

function boundOf({ claim, forced }: ConditionFacts): Said {
  if (!claim) return forced ? say("False", forced.reason, forced.message) : say("False", "NotFound", "No PVC found");
  const said = claim.metadata.annotations ?? {};
  const name = claim.metadata.name ?? "";
  const reason = said[annotations.boundConditionReason] ?? "";
  const message = said[annotations.boundConditionMessage] ?? "";
  const unsaid = (said[annotations.boundCondition] ?? "true") === "true";
  switch (claim.status?.phase) {
    case "Bound":
      return unsaid ? say("True", "Bound", `PVC ${name} Bound`) : say("False", reason, message);
    case "Pending":
      return unsaid
        ? say("False", "Pending", `PVC ${name} Pending`)
        : say("False", reason, `target PVC ${name} Pending and ${primeOf(said)}${message}`);
    case "Lost":
      return say("False", "ClaimLost", "Claim Lost");
    default:
      return say("False", "", "");
  }
}

const primeOf = (said: Readonly<Record<string, string>>): string =>
  said[annotations.populatorPrime] === undefined ? "" : `[${said[annotations.populatorPrime]}] : `;

function runningOf(claim: Claim | undefined): Said {
  const said = claim?.metadata.annotations ?? {};
  if (said[annotations.podSchedulable] === "false")
    return say("False", "Unschedulable", "Importer pod cannot be scheduled");
  const reason = said[annotations.runningConditionReason] ?? "";
  const message = said[annotations.runningConditionMessage] ?? "";
  const status = said[annotations.runningCondition];
  if (status === "true") return say("True", reason, message);
  return say(status === "false" || status === undefined ? "False" : "Unknown", reason, message);
}

function readyOf({ phase, claim, forced }: ConditionFacts, isRunning: Said): Said {
  if (isRunning.status === "True") return say("False", "TransferRunning", "");
  const status = phase === "Succeeded" ? "True" : phase === "Unknown" ? "Unknown" : "False";
  return say(status, claim || !forced ? "" : forced.reason, "");
}

function reconcilingOf({ phase, flow }: ConditionFacts): (nowMs: number) => ConditionChange {
  if (phase === "Succeeded") return (nowMs) => reconciling("False", "Succeeded", "", nowMs);
  if (phase === "Failed") return (nowMs) => reconciling("False", "Failed", "", nowMs);
  return (nowMs) => reconciling("True", flow.reconciling, "", nowMs);
}

function stalledOf({ claim, forced, phase }: ConditionFacts): Said {
  const ofClaim = claim && phase !== "Succeeded" ? faultCodeOf(claim) : undefined;
  const code = forced ? forced.code : ofClaim;
  if (forced && !code) return say("True", forced.reason, forced.message);
  if (!code) return say("False", "", "");
  return say("True", code, `${FAULTS[code].text} ${FAULTS[code].remedy}`);
}
