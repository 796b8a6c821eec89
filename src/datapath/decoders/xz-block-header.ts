// What the header of an xz block says: its sizes, and how large a dictionary its decoder keeps (file format of xz, 3.1).
import { NumberReader } from "./xz-index.ts";

/** The filter that every block ends with (file format of xz, 5.3.1). */
const lzma2 = 0x21;
/** In the flags: the number follows. */
const sizeBits = { compressed: 0x40, uncompressed: 0x80 } as const;
/** In the flags: how many filters there are, less one. */
const filterBits = 0x03;

/** @param header from its size byte to its seal @returns undefined where it leaves one out */
export function readSizes(header: Buffer): { compressed: number; uncompressed: number } | undefined {
  const { compressed, uncompressed } = readHead(header);
  if (compressed === undefined || uncompressed === undefined) return undefined;
  return compressed > 0 && Number.isSafeInteger(uncompressed) ? { compressed, uncompressed } : undefined;
}

/** @param header from its size byte to its seal @returns bytes; Infinity where it does not say */
export function dictionaryBytes(header: Buffer): number {
  const { filters, numbers } = readHead(header);
  for (let left = filters; left > 0; left -= 1) {
    const id = numbers.next();
    const propertyBytes = numbers.next();
    const property = header[numbers.skip(propertyBytes)];
    if (id === lzma2 && propertyBytes === 1 && property !== undefined) return ofProperty(property);
  }
  return Infinity;
}

function ofProperty(property: number): number {
  if (property > 40) return Infinity;
  return property === 40 ? 2 ** 32 - 1 : (2 | (property & 1)) * 2 ** (Math.floor(property / 2) + 11);
}

interface Head {
  /** NaN where it is damaged. */
  compressed: number | undefined;
  uncompressed: number | undefined;
  filters: number;
  /** From the first filter on. */
  numbers: Numbers;
}

function readHead(header: Buffer): Head {
  const flags = header.readUInt8(1);
  const numbers = numbersFrom(header, 2);
  const compressed = flags & sizeBits.compressed ? numbers.next() : undefined;
  const uncompressed = flags & sizeBits.uncompressed ? numbers.next() : undefined;
  return { compressed, uncompressed, filters: (flags & filterBits) + 1, numbers };
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
