// Names for what a target can do to us: errno in, fault of the catalog out.
import { Fault } from "../../lib/faults.ts";
import type { FaultCode } from "../../lib/faults.ts";
import { codeOf } from "../../lib/syscalls.ts";

// The controller looks for the first two texts word for word.
const rows: Record<string, [FaultCode, string]> = {
  ENOSPC: ["TargetFull", "no space left on device"],
  EDQUOT: ["QuotaExceeded", "disk quota exceeded"],
  EFBIG: ["TargetFull", "file too large, no space left on device for it"],
  EROFS: ["TargetReadOnly", "read-only file system"],
  EACCES: ["TargetReadOnly", "permission denied"],
  EPERM: ["TargetReadOnly", "operation not permitted"],
  EBUSY: ["TargetInUse", "device or resource busy"],
};

/** @param place what was done where, such as "write /data/disk.img" */
export function targetFault(error: unknown, place: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const [fault, text] = rows[code ?? ""] ?? ["TargetIo", error instanceof Error ? error.message : String(error)];
  return new Fault(fault, `unable to write to file: ${place}: ${text}`, { cause: error });
}

/** Upstream's words, which the controller looks for. Sizes in bytes. */
export function tooSmall(virtualSizeBytes: number, availableBytes: number): Fault {
  return new Fault(
    "TargetTooSmall",
    `virtual image size ${virtualSizeBytes} is larger than the reported available storage ${availableBytes}. A larger PVC is required`,
  );
}
