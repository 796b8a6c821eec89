// How an upload server's end is said: exit status and termination text (interfaces/upload.md 4.5, compat.md). Pure.
import type { Ending } from "../src/contract/termination-log.ts";
import {
  deadlinePassed,
  oneTerminationLine,
  scratchNeededExitOld,
  uploadComplete,
  writeTermination,
} from "../src/contract/termination.ts";
import type { Fault } from "../src/lib/faults.ts";
import type { Listener } from "./settings.ts";

export type End =
  | { readonly kind: "done"; readonly preallocated: boolean }
  | { readonly kind: "scratchNeeded" }
  | { readonly kind: "deadline" }
  /** Before it served, or behind an answer already given. */
  | { readonly kind: "failed"; readonly fault: Fault };

export function endingOf(end: End, listener: Listener): Ending {
  const isOld = listener === "v1.56";
  switch (end.kind) {
    case "done":
      if (isOld) {
        return { exit: 0, message: end.preallocated ? `${uploadComplete}, Preallocation applied` : uploadComplete };
      }
      return {
        exit: 0,
        message: writeTermination({ preallocationApplied: end.preallocated, message: uploadComplete }),
      };
    case "scratchNeeded":
      if (isOld) return { exit: scratchNeededExitOld };
      return { exit: 0, message: writeTermination({ scratchSpaceRequired: true, preallocationApplied: false }) };
    case "deadline":
      return { exit: 0, message: writeTermination({ deadlinePassed: true, message: deadlinePassed }) };
    case "failed":
      return { exit: end.fault.row.exit, message: oneTerminationLine(end.fault.message) };
  }
}
