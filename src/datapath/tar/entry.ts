// The words of the tar walker: what one entry of an archive is, and how much of one is taken before it counts as hostile.
import { Fault } from "../../lib/faults.ts";

/** "other" is a type nobody knows: its body is passed over like a file's. */
export type TarType = "file" | "directory" | "symlink" | "link" | "character" | "block" | "fifo" | "other";

/** A stored piece of a sparse file. */
export interface TarExtent {
  /** Where it belongs in the file, bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Bytes of a file and where they belong. */
export interface TarPiece {
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface TarEntry {
  /** As the archive has it, read as UTF-8: not cleaned, possibly absolute or with "..". At most `longestNameBytes`. */
  readonly name: string;
  /** The same as bytes, for names that are not UTF-8. */
  readonly nameBytes: Buffer;
  readonly type: TarType;
  /** Of the file as it is read, holes of a sparse one included. 0 for what has no body. */
  readonly sizeBytes: number;
  /** Target of a link or symlink, "" otherwise. */
  readonly linkname: string;
  readonly linkBytes: Buffer;
  /** The low twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, with a fraction where the archive has one. */
  readonly mtimeSeconds: number;
  /** Device numbers of a character or block device. */
  readonly device: { readonly major: number; readonly minor: number };
  /** Where the stored bytes begin, in bytes of the archive; those of a sparse file are its extents in a row. */
  readonly storedAt: number;
  /** Of a sparse file: what is stored, ascending. Absent: all of it is. */
  readonly extents?: readonly TarExtent[];
  /** PAX records in force, by key; such as SCHILY.xattr.user.x. Values read as UTF-8. */
  readonly pax: ReadonlyMap<string, string>;
  /**
   * The file's bytes in order, holes as zeros. Read once, by `body` or by `pieces`, before the walk goes on; what is not read
   * is passed over. @throws Fault ArchiveInvalid where the archive ends first, and the input's own
   */
  body(): AsyncGenerator<Buffer>;
  /** What is stored, each with its place: for writers that leave holes. */
  pieces(): AsyncGenerator<TarPiece>;
}

/** Linux takes no longer path. */
export const longestNameBytes = 4096;
/** All extended headers of one entry together, bytes. */
export const longestExtension = 1024 * 1024;
/** Pieces of one sparse file. */
export const mostExtents = 1024 * 1024;

export const damaged = (what: string, cause?: unknown): Fault =>
  new Fault("ArchiveInvalid", `the tar archive is damaged: ${what}`, { cause });
