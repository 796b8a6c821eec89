// What an xz block's header says of its filters: how large a dictionary its decoder keeps.
import { NumberReader } from "./xz-index.ts";

/** The filter that every block ends with (file format of xz, 5.3.1). */
const lzma2 = 0x21;
/** Beyond every limit. */
const unknown = Infinity;

/** @param header a block's, from its size byte to its seal @returns bytes; Infinity where it does not say */
export function dictionaryBytes(header: Buffer): number {
  const flags = header.readUInt8(1);
  const numbers = numbersFrom(header, 2);
  for (const bit of [0x40, 0x80]) if (flags & bit) numbers.next();
  for (let left = (flags & 3) + 1; left > 0; left -= 1) {
    const id = numbers.next();
    const sizeBytes = numbers.next();
    const at = numbers.skip(sizeBytes);
    if (id === lzma2 && sizeBytes === 1 && at < header.length) return ofProperty(header.readUInt8(at));
  }
  return unknown;
}

function ofProperty(property: number): number {
  if (property > 40) return unknown;
  return property === 40 ? 2 ** 32 - 1 : (2 | (property & 1)) * 2 ** (Math.floor(property / 2) + 11);
}

interface Numbers {
  /** NaN where there is none. */
  next(): number;
  /** @returns where the skipped bytes begin */
  skip(bytes: number): number;
}

function numbersFrom(bytes: Buffer, from: number): Numbers {
  let at = from;
  return {
    next() {
      const reader = new NumberReader();
      while (at < bytes.length) {
        const value = reader.take(bytes.readUInt8(at));
        at += 1;
        if (value !== undefined) return value;
      }
      return Number.NaN;
    },
    skip(count) {
      const begin = at;
      at += Number.isSafeInteger(count) ? count : bytes.length;
      return begin;
    },
  };
}
