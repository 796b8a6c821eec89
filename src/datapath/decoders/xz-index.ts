// The index of an xz stream: made for some of its blocks, and read and checked against all of them. Neither keeps the blocks:
// a running hash stands for the list, as a stream may have any number of them.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** As in the index: a block's header, data and check without padding, and what it decodes to; bytes. */
export interface BlockSizes {
  readonly unpadded: number;
  readonly uncompressed: number;
}

/** A list of blocks, as far as two of them can be told apart. */
export interface BlockList {
  readonly count: number;
  /** Each block's sizes hashed with the hash before it; hex. */
  readonly hash: string;
}

export const noBlocks: BlockList = { count: 0, hash: "" };

export const withBlock = ({ count, hash }: BlockList, { unpadded, uncompressed }: BlockSizes): BlockList => ({
  count: count + 1,
  hash: createHash("sha256").update(`${hash} ${unpadded} ${uncompressed}`).digest("hex"),
});

/** A number as xz writes it: seven bits a byte, the lowest first. */
export function writeNumber(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return [...bytes, left];
}

/** Puts numbers together byte by byte. */
export class NumberReader {
  #value = 0;
  #unit = 1;

  /** @returns the number when this byte was its last; NaN when it is larger than any size of ours; undefined: go on */
  take(byte: number): number | undefined {
    this.#value += (byte & 0x7f) * this.#unit;
    this.#unit *= 0x80;
    if (!Number.isSafeInteger(this.#value) || this.#unit > 2 ** 63) return Number.NaN;
    if (byte >= 0x80) return undefined;
    const value = this.#value;
    this.#value = 0;
    this.#unit = 1;
    return value;
  }
}

/** Index and footer of a stream. @param flags the two bytes of the stream's header @param records as writeNumber made them */
export function makeIndex(flags: Buffer, count: number, records: readonly number[]): Buffer {
  const body = [0, ...writeNumber(count), ...records];
  while (body.length % 4 !== 0) body.push(0);
  const index = sealed(Buffer.from(body));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(index.length / 4 - 1);
  const footer = sealed(Buffer.concat([size, flags]), "before");
  return Buffer.concat([index, footer, Buffer.from("YZ")]);
}

/** Bytes with their CRC32 behind or before them. */
export function sealed(bytes: Buffer, where: "behind" | "before" = "behind"): Buffer {
  const seal = Buffer.alloc(4);
  seal.writeUInt32LE(crc32(bytes));
  return Buffer.concat(where === "behind" ? [bytes, seal] : [seal, bytes]);
}

/** Reads an index whose first byte, a zero, is known already. */
export class IndexReader {
  readonly #number = new NumberReader();
  #phase: "count" | "records" | "padding" | "seal" | "over" = "count";
  #announced = 0;
  #unpadded: number | undefined;
  #blocks = noBlocks;
  #crc = crc32(Buffer.alloc(1));
  #seal = 0;
  #sealBytes = 0;
  #isRight = true;
  /** Bytes read, the seal's among them. */
  sizeBytes = 1;

  get isOver(): boolean {
    return this.#phase === "over";
  }

  /** Whether it was well formed and lists these blocks. */
  lists({ count, hash }: BlockList): boolean {
    return this.isOver && this.#isRight && this.#blocks.count === count && this.#blocks.hash === hash;
  }

  take(byte: number): void {
    this.sizeBytes += 1;
    if (this.#phase === "seal") return this.#takeSeal(byte);
    this.#crc = crc32(Buffer.of(byte), this.#crc);
    if (this.#phase === "padding") this.#isRight &&= byte === 0;
    else this.#takeNumber(this.#number.take(byte));
    const hasAll = this.#phase === "padding" || (this.#phase === "records" && this.#blocks.count === this.#announced);
    if (hasAll) this.#phase = this.sizeBytes % 4 === 0 ? "seal" : "padding";
  }

  #takeNumber(value: number | undefined): void {
    if (value === undefined) return;
    if (Number.isNaN(value)) {
      // Not an index: nothing behind it is understood either.
      this.#isRight = false;
      this.#phase = "over";
    } else if (this.#phase === "count") {
      this.#announced = value;
      this.#phase = "records";
    } else if (this.#unpadded === undefined) {
      this.#unpadded = value;
    } else {
      this.#blocks = withBlock(this.#blocks, { unpadded: this.#unpadded, uncompressed: value });
      this.#unpadded = undefined;
    }
  }

  #takeSeal(byte: number): void {
    this.#seal += byte * 2 ** (8 * this.#sealBytes);
    this.#sealBytes += 1;
    if (this.#sealBytes < 4) return;
    this.#isRight &&= this.#seal === this.#crc;
    this.#phase = "over";
  }
}
