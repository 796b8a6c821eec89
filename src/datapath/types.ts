// The words of the data path: a Source says what it can do and gives bytes, a Sink takes them at offsets and commits.
import type { Readable } from "node:stream";

/** What a source knows once it was asked. Sizes are bytes of the source as sent, before any decompression. */
export interface SourceFacts {
  readonly sizeBytes?: number;
  /** Reads from an offset are possible (HTTP ranges, a local file). */
  readonly ranges: boolean;
  /** Strong ETag or Last-Modified; absent when the server gives none. */
  readonly validator?: string;
  /** Only when its bytes were read to the end, in order, is it certain that they are right: none may be skipped. */
  readonly readsWhole?: boolean;
}

export interface Source {
  /** Shown in logs and messages; holds no secrets. */
  readonly name: string;
  /** Asked after `facts`: last path segments used by the "is this a disk" rule (compat.md): a URL's or file's path. */
  readonly path: string;
  /** Tells this source from any other, over restarts. Absent: its bytes are never taken up again by a later process. */
  readonly identity?: string;
  /**
   * Somebody sends its bytes, and goes on where `open` begins: the identity alone says that they are the same ones. Opened once.
   */
  readonly isSentOn?: boolean;
  /** The same bytes as a file of this machine, where they are one: tools may read it without a copy. */
  readonly localPath?: string;
  /** Asks the server (or the file system) once; later calls give the same answer. @throws Fault */
  facts(signal: AbortSignal): Promise<SourceFacts>;
  /** Bytes from `offset` to the end, in order. @throws Fault, also as the stream's error */
  open(offset: number, signal: AbortSignal): Promise<Readable>;
  /**
   * Fills the buffer with the bytes from `offset` on, where `facts` says that ranges are possible. All of it lies within the
   * source. @throws Fault
   */
  read?(offset: number, into: Buffer, signal: AbortSignal): Promise<void>;
  /** Everything is read anew from now on: the next `facts` ask again, and may differ. */
  forget?(): void;
  /** What the source says of the disk, for labels of its claim. Known once it was read. */
  labels?(): Readonly<Record<string, string>>;
  /** Releases connections and files. Never throws. */
  close(): Promise<void>;
}

/** One target volume. Offsets and lengths are bytes of the guest's disk. Bytes count only after commit. */
export interface Sink {
  /** Where the disk is to be read after commit. */
  readonly path: string;
  /** Free or total bytes the virtual size is checked against (importer.md 7.3). */
  readonly availableBytes: number;
  /** What that would be if nothing but our own lay on the target; absent where nobody else can put anything there. */
  readonly emptyBytes?: number;
  readonly kind: "filesystem" | "block";
  /** Bytes really written so far, holes left out. What an outside writer wrote (lend) is not counted. */
  readonly writtenBytes?: number;
  /**
   * Makes the target ready for an image of this size: creates the part file, or empties the block device.
   * Called after head, size and format were checked; called again it starts over from nothing. A stream whose size is not
   * known begins with 0: the disk ends where the last write or zero ended. @throws Fault
   */
  begin(virtualSizeBytes: number): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Fills the buffer with what was written at the offset, zeros where nothing was. @throws Fault */
  read?(offset: number, into: Buffer): Promise<void>;
  /** The range reads as zeros afterwards, without allocating where the target can. */
  zero(offset: number, length: number): Promise<void>;
  /**
   * Hands the raw target to an outside writer (qemu-img convert): path to write to, and whether it reads as zeros already.
   * Every range the writer leaves alone must read as zeros after commit.
   */
  lend(virtualSizeBytes: number): Promise<{ path: string; readsAsZeros: boolean }>;
  /** Syncs, grows or preallocates, renames into place. Nothing may be written after it. @throws Fault */
  commit(): Promise<SinkResult>;
  /** Leaves nothing that looks finished. Logs its own trouble, never throws. */
  discard(): Promise<void>;
  /**
   * Everything written so far is on the disk when this resolves; more may be written meanwhile. @returns what `goOn` needs;
   * undefined where another process could not tell what is written from what is not. @throws Fault
   */
  mark?(): Promise<SinkMark | undefined>;
  /**
   * In place of `begin`: what an earlier process wrote stays. @param keptBytes of a disk that is written in order: what lies
   * behind reads as zeros afterwards. @returns false when it is not there any more
   */
  goOn?(mark: SinkMark, keptBytes?: number): Promise<boolean>;
  /** In place of `discard`: lets go of the target, for another process to go on with. Never throws. */
  rest?(): Promise<void>;
}

/** What a later process is told of a target; plain data. */
export interface SinkMark {
  readonly virtualSizeBytes: number;
  /** Of the file or device, at least. */
  readonly sizeBytes: number;
  readonly writtenBytes: number;
  /** Of all bytes, where they are read again before they are believed. */
  readonly crc32?: number;
}

export interface SinkResult {
  /** Bytes allocated on the target: st_blocks x 512 of the file; undefined for a block device. */
  readonly allocatedBytes?: number;
  /** Size of the disk after growth, bytes. */
  readonly sizeBytes: number;
  readonly preallocated: boolean;
}

/** What moves while an import runs. Kept by the road, read by metrics, CLI and termination. */
export interface Progress {
  stage: Stage;
  stageIndex: number;
  stageCount: number;
  bytesDone: number;
  /** Absent while unknown. */
  bytesTotal?: number;
  /** Bytes taken from the source so far. */
  bytesRead: number;
  /** Bytes written to the target (and not left as holes) so far. */
  bytesWritten: number;
  scratchPeakBytes: number;
  /** Where an earlier attempt's bytes were taken up again, bytes of the source; 0: they were of no use. Absent: there were none. */
  resumedFromBytes?: number;
  /** How often the source was asked again after it broke off, or all was begun anew. */
  retries: number;
}
export type Stage = "connecting" | "transferring" | "downloading" | "converting" | "finishing";

export type Road = "straight" | "one-pass" | "staged" | "archive" | "blank";
