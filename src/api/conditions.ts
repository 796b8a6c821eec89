// Conditions: their schema, and how one is set so that it never flaps (house rule: transition time moves only when the
// status moves, heartbeat time when status, reason or message changes).
import { Type } from "@sinclair/typebox";
import { stamp } from "../lib/clock.ts";
import { openWord } from "./schema.ts";
import type { Condition } from "./meta.ts";

export type ConditionStatus = Condition["status"];
export type { Condition };

export const Conditions = Type.Array(
  Type.Object({
    lastHeartbeatTime: Type.Optional(Type.String({ format: "date-time" })),
    lastTransitionTime: Type.Optional(Type.String({ format: "date-time" })),
    message: Type.Optional(Type.String()),
    reason: Type.Optional(Type.String()),
    status: openWord<ConditionStatus>(),
    type: Type.String(),
  }),
);

/** Puts one condition into a list. The list handed in is left alone. */
export type ConditionChange = (conditions: readonly Condition[]) => Condition[];

/**
 * A condition with a closed list of reasons ("" where upstream leaves the reason empty).
 * `nowMs` is milliseconds since the epoch.
 */
export const conditionKind =
  <const R extends readonly string[]>(type: string, _reasons: R) =>
  (status: ConditionStatus, reason: R[number], message: string, nowMs: number): ConditionChange =>
  (conditions) =>
    withCondition(conditions, { type, status, reason, message }, nowMs);

/** A condition whose reason is copied from elsewhere (an event, a container state), so that no list can be closed. */
export const mirroredCondition =
  (type: string) =>
  (status: ConditionStatus, reason: string, message: string, nowMs: number): ConditionChange =>
  (conditions) =>
    withCondition(conditions, { type, status, reason, message }, nowMs);

/** @returns the condition of that type, if the list has one */
export const conditionOf = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type);

export const isTrue = (conditions: readonly Condition[] | undefined, type: string): boolean =>
  conditionOf(conditions, type)?.status === "True";

/** Same status, reason and message; times are not compared, and an absent text equals "". */
export const saysTheSame = (a: Condition, b: Condition): boolean =>
  a.status === b.status && (a.reason ?? "") === (b.reason ?? "") && (a.message ?? "") === (b.message ?? "");

/** @returns the types whose status, reason or message differ between the two lists, sorted */
export function changedConditions(
  before: readonly Condition[] | undefined,
  after: readonly Condition[] | undefined,
): string[] {
  const types = new Set([...(before ?? []), ...(after ?? [])].map((condition) => condition.type));
  const changed = [...types].filter((type) => {
    const [was, is] = [conditionOf(before, type), conditionOf(after, type)];
    return !was || !is || !saysTheSame(was, is);
  });
  return changed.toSorted();
}

interface Said {
  type: string;
  status: ConditionStatus;
  reason: string;
  message: string;
}

function withCondition(conditions: readonly Condition[], said: Said, nowMs: number): Condition[] {
  const now = stamp(nowMs);
  const old = conditionOf(conditions, said.type);
  if (!old) return [...conditions, { ...said, lastTransitionTime: now, lastHeartbeatTime: now }];
  if (saysTheSame(old, said)) return [...conditions];
  const moved = old.status !== said.status;
  const lastTransitionTime = moved ? now : (old.lastTransitionTime ?? now);
  const next: Condition = { ...said, lastTransitionTime, lastHeartbeatTime: now };
  return conditions.map((condition) => (condition === old ? next : condition));
}
