// When an import is begun anew within the same process: the file is another one now, or what came cannot be continued.
import { faultOf, type FaultCode } from "../../lib/faults.ts";
import { PointUnusable } from "../decoders/index.ts";
import { CannotResume, type SteadySource } from "./steady-source.ts";

/** A second change is no accident: the kubelet's longer pauses serve better then. */
const mostForChange = 1;
/** Each of these fetches everything again. */
const mostForBreak = 2;

const damaged: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "ChecksumMismatch",
  "ImageCorrupt",
  "ImageTruncated",
  "SourceChanged",
]);

/** @returns a function that counts: told of a failure, it says why to start over, or undefined for not to */
export function startsOver(source: SteadySource): (cause: unknown, wentOn: boolean) => string | undefined {
  let changes = 0;
  let breaks = 0;
  let starts = 0;
  return (cause, wentOn) => {
    if (cause instanceof CannotResume) return (breaks += 1) <= mostForBreak ? "it cannot be resumed" : undefined;
    const { code } = faultOf(cause);
    // Joined without a validator: the checksum speaks of the joint as much as of the file.
    const isBadJoint = source.hasGuessed && (code === "ChecksumMismatch" || code === "ImageCorrupt");
    // What an earlier process left may be damaged, or a stranger's.
    const isBadStart = wentOn && (cause instanceof PointUnusable || damaged.has(code));
    if (isBadStart) return (starts += 1) <= 1 ? "what an earlier process left is of no use" : undefined;
    if (code !== "SourceChanged" && !isBadJoint) return undefined;
    return (changes += 1) <= mostForChange ? "the file has changed" : undefined;
  };
}
