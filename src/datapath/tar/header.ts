// One 512-byte tar header: v7, ustar, GNU and star, as numbers and bytes. Pure.
import { damaged } from "./entry.ts";

export const blockBytes = 512;

export interface TarHeader {
  readonly name: Buffer;
  readonly linkname: Buffer;
  /** The type flag as a character; v7's NUL reads as "0". */
  readonly flag: string;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

/** @param block 512 bytes @throws Fault ArchiveInvalid */
export function readTarHeader(block: Buffer): TarHeader {
  checkSum(block);
  const magic = block.toString("latin1", 257, 265);
  const isUstar = magic.startsWith("ustar\0");
  const isStar = isUstar && block.toString("latin1", 508, 512) === "tar\0";
  const isKnown = isUstar || magic === "ustar  \0";
  const prefix = isUstar ? text(block, 345, isStar ? 131 : 155) : Buffer.alloc(0);
  const name = text(block, 0, 100);
  return {
    name: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from("/"), name]) : name,
    linkname: text(block, 157, 100),
    flag: block[156] === 0 ? "0" : String.fromCharCode(block[156] ?? 0),
    sizeBytes: sizeField(block, 124, 12, "size"),
    mode: number(block, 100, 8, "mode") & 0o7777,
    uid: number(block, 108, 8, "uid"),
    gid: number(block, 116, 8, "gid"),
    mtimeSeconds: number(block, 136, 12, "mtime"),
    devMajor: isKnown ? number(block, 329, 8, "devmajor") : 0,
    devMinor: isKnown ? number(block, 337, 8, "devminor") : 0,
  };
}

/** Offset in the block, and whether further pieces follow in blocks of their own. */
export const oldSparse = { at: 386, pieces: 4, more: 482, realSize: 483 } as const;
export const oldSparseMore = { at: 0, pieces: 21, more: 504 } as const;

/** A size or an offset: whole, not negative, exact. @throws Fault ArchiveInvalid */
export function sizeField(block: Buffer, at: number, length: number, what: string): number {
  const value = number(block, at, length, what);
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) throw damaged(`its ${what} is out of range`);
  return value;
}

/** Octal text, or GNU's two's complement in base 256. An empty field is 0. */
function number(block: Buffer, at: number, length: number, what: string): number {
  const first = block[at] ?? 0;
  if (first & 0x80) {
    // The mark is no digit of a positive number; in a negative one it is part of the sign.
    let value = first & 0x40 ? BigInt(first) - 256n : BigInt(first & 0x3f);
    for (const byte of block.subarray(at + 1, at + length)) value = value * 256n + BigInt(byte);
    return Number(value);
  }
  const digits = text(block, at, length).toString("latin1").trim();
  if (digits === "") return 0;
  if (!/^-?[0-7]+$/.test(digits)) throw damaged(`its ${what} is no number`);
  return Number.parseInt(digits, 8);
}

function text(block: Buffer, at: number, length: number): Buffer {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  // A copy: the block is a view of a much larger piece of the stream.
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

/** Some old writers summed signed characters. */
function checkSum(block: Buffer): void {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < blockBytes; at += 1) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const said = number(block, 148, 8, "header checksum");
  if (said !== unsigned && said !== signed) throw damaged("a header's checksum is wrong");
}
