// The words of the system-call door: what callers may ask of the kernel beyond node:fs, and how it fails.
import { constants } from "node:os";

/**
 * How space is set or freed: `plain` allocates and extends, `keep-size` allocates only, `punch` frees and zeroes a range,
 * `zero` zeroes a range and keeps it allocated. None but `plain` changes the size of a file.
 */
export type AllocateMode = "plain" | "keep-size" | "punch" | "zero";

/** Offsets and lengths in bytes. Every method fails with a SyscallError; those that may block long leave the event loop free. */
export interface Syscalls {
  /** False where koffi cannot load: then system tools serve, slower and without cache advice. */
  readonly native: boolean;
  /** Size of a page of memory, bytes: what direct I/O is aligned to here, as no device asks for more. */
  readonly pageBytes: number;
  /** How far behind the start of its page the first byte lies in memory. Undefined without koffi. */
  placeInPage(bytes: Uint8Array): number | undefined;
  /** fallocate(2). `EOPNOTSUPP` where the file system or device cannot. */
  allocate(fd: number, mode: AllocateMode, offset: number, length: number): Promise<void>;
  /** Size of a block device. `ENOTTY` for anything else. */
  deviceSizeBytes(fd: number): number;
  /** Smallest unit the device addresses, 512 or 4096 as a rule. `ENOTTY` for anything else. */
  logicalBlockBytes(fd: number): number;
  /** BLKDISCARD: gives the range back to the device; what it reads as afterwards is not to be trusted. */
  discardBlocks(fd: number, offset: number, length: number): Promise<void>;
  /** Starts writing dirty pages of the range to the disk, without waiting for it. */
  startWriteback(fd: number, offset: number, length: number): Promise<void>;
  /** Waits until the range's data (not the metadata) was written. An error is told once, here. */
  awaitWriteback(fd: number, offset: number, length: number): Promise<void>;
  /** Advises the kernel to forget clean cached pages of the range. */
  dropCache(fd: number, offset: number, length: number): Promise<void>;
  /** syncfs(2): everything written to the descriptor's file system is on its disk afterwards. */
  syncFilesystem(fd: number): Promise<void>;
  /** Where the next data at or after `offset` begins; undefined when only a hole follows. `ENOSYS` without koffi. */
  nextData(fd: number, offset: number): Promise<number | undefined>;
  /** Where the next hole at or after `offset` begins; the end of the file counts as one. `ENOSYS` without koffi. */
  nextHole(fd: number, offset: number): Promise<number>;
  /**
   * A pipe whose reading end does not block; neither end is handed to programs unless asked for. Undefined where there is no
   * way to make one.
   * @param roomBytes what it should hold; the kernel may allow less
   */
  openPipe(roomBytes: number): { readFd: number; writeFd: number } | undefined;
  /**
   * Keeps every descriptor above stderr from the programs started later. Node opens its own that way, but not those that were
   * handed to it at its start. Where neither koffi nor close_range(2) is there, nothing happens.
   */
  sealDescriptors(): void;
}

/** A refused system call; `code` is the errno's name, as on node's own errors. */
export class SyscallError extends Error {
  readonly code: string;
  readonly syscall: string;
  constructor(code: string, syscall: string, detail = "") {
    super(`${code}: ${syscall}${detail ? `: ${detail}` : ""}`);
    this.name = "SyscallError";
    this.code = code;
    this.syscall = syscall;
  }
}

// Two names for one number: these are the ones that people know.
const aliases = new Set(["ENOTSUP", "EWOULDBLOCK"]);
const errnoNames = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !aliases.has(name))
    .map(([name, number]) => [number, name]),
);

/** @returns the name of an errno, `ENOSPC` for 28; `E<number>` when node does not know it */
export const errnoName = (errno: number): string => errnoNames.get(errno) ?? `E${errno}`;

/** The errno name on an error of node:fs or of this door; undefined on any other. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

const refusals = new Set(["EOPNOTSUPP", "ENOTSUP", "ENOSYS", "ENOTTY", "EINVAL", "ENODEV"]);
/** Whether an error says "this cannot be done here", rather than "it went wrong". */
export const isUnsupported = (error: unknown): boolean => refusals.has(codeOf(error) ?? "");
