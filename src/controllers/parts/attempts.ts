// How long an import is tried (compat.md, "Failed is not harmless"): a question of the fault, of what the source has shown
// before, and of what the user asked.
import { attemptsOf, FAULTS, type FaultCode } from "../../lib/faults.ts";

export interface AttemptFacts {
  code: FaultCode;
  /** Container exits of this pod so far. */
  exits: number;
  /** This source has sent a byte before. */
  delivered: boolean;
  /** Annotation retryForever. */
  forever: boolean;
}

/** Answers of a server that may be passing when it has served the file before. */
const statuses: readonly FaultCode[] = [
  "SourceUnauthorized",
  "SourceForbidden",
  "SourceNotFound",
  "SourceGone",
  "SourceRefused",
];

/** @returns container exits after which the import is Failed; Infinity for never */
export function attemptsAllowed({ code, delivered, forever }: Omit<AttemptFacts, "exits">): number {
  const { retry } = FAULTS[code];
  if (retry === "never") return attemptsOf.never;
  if (forever || (delivered && statuses.includes(code))) return attemptsOf.always;
  return attemptsOf[retry];
}

export const attemptsSpent = (facts: AttemptFacts): boolean => facts.exits >= attemptsAllowed(facts);
