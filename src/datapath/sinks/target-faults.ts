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
  EIO: ["TargetIo", "input/output error"],
  ENXIO: ["TargetIo", "no such device or address"],
  ENODEV: ["TargetIo", "no such device"],
  ESTALE: ["TargetIo", "stale file handle"],
  EBUSY: ["TargetInUse", "device or resource busy"],
};

/** @param place what was done where, such as "write /data/disk.img" */
export function targetFault(error: unknown, place: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const [fault, text] = rows[code ?? ""] ?? ["TargetIo", error instanceof Error ? error.message : String(error)];
  return new Fault(fault, `unable to write to file: ${place}: ${text}`, { cause: error });
}

/** Does not fit what is free now. */
export class TooSmall extends Fault {
  readonly wantedBytes: number;
  constructor(wantedBytes: number, availableBytes: number) {
    const said = `virtual image size ${wantedBytes} is larger than the reported available storage ${availableBytes}`;
    super("TargetTooSmall", `${said}. A larger PVC is required`);
    this.wantedBytes = wantedBytes;
  }
}

/** Upstream's words, which the controller looks for. Sizes in bytes. */
export const tooSmall = (virtualSizeBytes: number, availableBytes: number): Fault =>
  new TooSmall(virtualSizeBytes, availableBytes);

/**
 * A target that would be large enough but for what others keep on it is full, and not too small: that may pass.
 * @param emptyBytes what the target takes when nothing lies on it; undefined where nobody knows
 */
export const fullOrTooSmall = (cause: unknown, emptyBytes: number | undefined): unknown =>
  cause instanceof TooSmall && emptyBytes !== undefined && cause.wantedBytes <= emptyBytes
    ? new Fault("TargetFull", cause.message, { cause })
    : cause;
