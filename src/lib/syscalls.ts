// The door to system calls that node lacks: koffi where it loads, system tools elsewhere.
import { loadNativeSyscalls } from "./syscalls-native.ts";
import { toolSyscalls } from "./syscalls-tools.ts";
import type { Syscalls } from "./syscalls-types.ts";

export { codeOf, isUnsupported, SyscallError } from "./syscalls-types.ts";
export type { AllocateMode, Syscalls } from "./syscalls-types.ts";
export { toolSyscalls } from "./syscalls-tools.ts";

let loaded: Syscalls | undefined;
let refusal: unknown;

/** The calls this machine offers; koffi is loaded at the first use. Never throws. */
export function syscalls(): Syscalls {
  if (loaded) return loaded;
  try {
    loaded = loadNativeSyscalls();
  } catch (cause) {
    refusal = cause;
    loaded = toolSyscalls();
  }
  return loaded;
}

/** Which way the calls go, and why not the better one: for the log line at start. */
export function syscallsAvailable(): { native: boolean; reason?: string } {
  const { native } = syscalls();
  if (native) return { native };
  return { native, reason: refusal instanceof Error ? refusal.message : String(refusal) };
}
