// What every road is given and gives back. A road pours; checking the source to its end and committing come after it.
import type { Log } from "../../lib/log.ts";
import type { SegmentedDigest } from "../checkpoint/segmented-digest.ts";
import type { ScratchFile } from "./scratch-file.ts";
import type { DiskFormat } from "../sniff.ts";
import type { Peeled } from "../peel.ts";
import type { PassState } from "../qcow2/pass-state.ts";
import type { Progress, Sink, Source } from "../types.ts";

export interface ScratchPlace {
  dir: string;
  fileName: string;
}

export interface RoadJob {
  peeled: Peeled;
  /** Absent for raw, ISO and tar. */
  disk: DiskFormat | undefined;
  sink: Sink;
  source: Source;
  /** The source can be read anywhere. */
  ranges: boolean;
  /** Of the source as sent; tells the disk's size only where nothing is compressed. */
  sourceBytes: number | undefined;
  /** The same bytes as a local file, where the source is one and they are not compressed. */
  localPath: string | undefined;
  scratch: ScratchPlace | undefined;
  /** Of the staged road: the file in that place. */
  scratchFile?: ScratchFile | undefined;
  /** The digest where it can be put away; "none" where none is asked for, absent where it cannot. */
  savedDigest?: SegmentedDigest | "none" | undefined;
  preallocate: boolean;
  progress: Progress;
  log: Log;
  signal: AbortSignal;
  hasChecksum: boolean;
  /** A road that works on after every byte is there and checked says so by it; may be called again. */
  onReceived?: (() => void) | undefined;
  /**
   * Of the one-pass road: everything below this offset of the source is on the target, which is gone on with as it is, or in
   * `startState`. The body begins there; `peeled.head` is the beginning of the image all the same.
   */
  startAt?: number;
  /** In a stream: what the pass before knew at startAt. */
  startState?: PassState;
  /**
   * Of the same road: told a rising offset of the source below which every cluster was given to the sink. @param state where the
   * road needs it to begin there: undefined while it is not to be had
   */
  onLowWater?: (offset: number, state?: () => Buffer | undefined) => void;
  /** Told before more bytes of the source are waited for: all of them below were taken, and what comes of them was handed on. */
  onTaken?: (offset: number) => void;
  /** Of the straight road: the disk below this is on the target, and the body begins there. Default 0. */
  startOutput?: number;
  /** Of the same road: told a rising offset of the disk below which everything was given to the sink. */
  onPlaced?: (outputBytes: number) => void;
  /** What to wait for before more is given to the sink. */
  pace?: () => Promise<void> | undefined;
  /** Told of the hash over the tables that were read before their bytes come by, where a checksum was asked for. */
  onTables?: (hash: string) => void;
  /** Resolves when the source has been read to its end and its length and checksum are right. @throws Fault */
  sourceIsWhole: () => Promise<void>;
}

/**
 * "scratchNeeded" is an answer; what may have been written is to be discarded. "declined": the image is one for the staged
 * road, and the target is as new.
 */
export type RoadEnd = { kind: "poured"; virtualSizeBytes: number } | { kind: "scratchNeeded" } | { kind: "declined" };
