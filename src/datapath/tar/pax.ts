// PAX extended headers: "length key=value" records in a row. Pure.
import { damaged } from "./entry.ts";

/** Later records win. GNU's sparse format 0.0 repeats two keys, once per piece: those are kept in order beside. */
export interface PaxRecords {
  readonly values: Map<string, Buffer>;
  /** GNU.sparse.offset and GNU.sparse.numbytes, alternating. */
  readonly sparsePairs: readonly number[];
}

/** @throws Fault ArchiveInvalid */
export function readPax(bytes: Buffer): PaxRecords {
  const values = new Map<string, Buffer>();
  const sparsePairs: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    // Some writers pad with NULs up to the block.
    if (bytes[at] === 0) break;
    const digits = space < 0 || space - at > 10 ? "" : bytes.toString("latin1", at, space);
    const end = /^\d+$/.test(digits) ? at + Number(digits) : 0;
    const equals = bytes.indexOf(0x3d, space);
    if (end <= space || end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw damaged("an extended header cannot be read");
    }
    const key = bytes.toString("utf8", space + 1, equals);
    const value = Buffer.from(bytes.subarray(equals + 1, end - 1));
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") sparsePairs.push(wholeNumber(value, key));
    else values.set(key, value);
    at = end;
  }
  return { values, sparsePairs };
}

/** @throws Fault ArchiveInvalid for anything but decimal digits of an exact number */
export function wholeNumber(value: Buffer | string, what: string): number {
  const digits = typeof value === "string" ? value : value.toString("latin1");
  const number = /^\d{1,19}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw damaged(`its ${what} is no number`);
  return number;
}
