// Follows an xz file from block to block without decoding it, by the sizes that parallel encoders write into each block's
// header; tells the block ends, and makes the part of a file behind one, or each single block, into a file of its own that any
// decoder takes.
import { PointUnusable, type DecodePoint, type DecodeResume } from "./point.ts";
import { dictionaryBytes, readSizes } from "./xz-block-header.ts";
import { IndexReader, makeIndex, noBlocks, sealed, withBlock, writeNumber } from "./xz-index.ts";
import type { BlockList, BlockSizes } from "./xz-index.ts";

/** What `split` makes of a file. */
export type XzPart =
  /** A block begins: the beginning of a file that holds it alone. */
  | { readonly kind: "block"; readonly bytes: Buffer; readonly sizes: BlockSizes; readonly dictionaryBytes: number }
  | { readonly kind: "data"; readonly bytes: Buffer }
  /** The end of the block's file. */
  | { readonly kind: "blockEnd"; readonly bytes: Buffer }
  /** From here on the file cannot be followed: what is left of it, as a file of its own. */
  | { readonly kind: "rest"; readonly bytes: Buffer }
  /** An index that does not list the blocks before it. */
  | { readonly kind: "wrongIndex" };

const magic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
/** Bytes of a block's check by its kind: none, CRC32, CRC64, SHA-256, and those kept free. */
const checkBytes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;
/** An index of more bytes is not made: such a file is decoded from its beginning. */
const longestRecords = 4 * 1024 * 1024;

/** What the next bytes are. "lost": nothing that is understood; the decoder will say what is wrong. */
type Part = "streamHeader" | "blockSize" | "blockHeader" | "block" | "index" | "footer" | "padding" | "lost";
const fieldBytes: Partial<Record<Part, number>> = { streamHeader: 12, blockSize: 1, footer: 12, padding: 4 };

export class XzBlocks {
  readonly #onPoint: DecodeResume["onPoint"];
  #part: Part = "streamHeader";
  /** The part's bytes so far, where it is read whole. */
  #field: Buffer = Buffer.alloc(0);
  /** Bytes still missing of the part. */
  #missing = 12;
  #position: number;
  #outputBytes: number;
  #flags: Buffer = Buffer.alloc(2);
  #blocks: BlockList = noBlocks;
  #block: BlockSizes = { unpadded: 0, uncompressed: 0 };
  #index = new IndexReader();
  /** While the stream lacks its first blocks: what its index is to say instead. */
  #remainder: { count: number; records: number[] } | undefined;
  /** Bytes of ours that go before the next ones of the file. */
  #own: Buffer[] = [];
  /** The file's index is kept back until it is known to be right. */
  #isHeld = false;
  #isIndexRight = true;
  #header: Buffer = Buffer.alloc(0);
  /** For `split`: the bytes since something ended, until it is known what begins. */
  #unsure: Buffer[] = [];
  #isRest = false;

  /** @throws PointUnusable */
  constructor({ from, onPoint }: DecodeResume = {}) {
    this.#onPoint = onPoint;
    this.#position = from?.inputBytes ?? 0;
    this.#outputBytes = from?.outputBytes ?? 0;
    if (!from) return;
    ({ flags: this.#flags, blocks: this.#blocks } = readState(from));
    this.#remainder = { count: 0, records: [] };
    this.#own.push(magic, sealed(this.#flags));
    this.#expect("blockSize");
  }

  /** @returns what to hand to the decoder for these bytes of the file, in order @throws PointUnusable */
  pass(chunk: Buffer): Buffer[] {
    const pieces = this.#own.splice(0);
    let passedTo = 0;
    for (let at = 0; at < chunk.length && this.#part !== "lost";) {
      const wasHeld = this.#isHeld;
      const taken = Math.min(this.#missing, chunk.length - at);
      this.#take(chunk.subarray(at, at + taken));
      at += taken;
      // An index shows itself by its first byte, which is kept back with it.
      if (!wasHeld && this.#isHeld) pieces.push(chunk.subarray(passedTo, at - 1));
      if (!wasHeld || this.#isHeld) continue;
      pieces.push(...this.#own.splice(0));
      passedTo = at;
    }
    if (!this.#isHeld) pieces.push(chunk.subarray(passedTo));
    return pieces.filter(({ length }) => length > 0);
  }

  /** The same bytes block by block: to be used instead of `pass`. @throws PointUnusable */
  split(chunk: Buffer): XzPart[] {
    const parts: XzPart[] = [];
    let at = 0;
    while (at < chunk.length && this.#part !== "lost") {
      const was = this.#part;
      const bytes = chunk.subarray(at, at + Math.min(this.#missing, chunk.length - at));
      at += bytes.length;
      this.#take(bytes);
      if (was === "block") {
        parts.push({ kind: "data", bytes });
        if (this.#part !== "block") parts.push({ kind: "blockEnd", bytes: this.#indexOfOne() });
        continue;
      }
      if (was === "footer" && !this.#isIndexRight) parts.push({ kind: "wrongIndex" });
      const isSure = this.#part === "block" || this.#part === "index" || this.isAtEnd;
      if (this.#part === "block") parts.push(this.#beginning());
      if (isSure) this.#unsure = [];
      else this.#unsure.push(Buffer.from(bytes));
    }
    if (this.#part !== "lost") return parts;
    if (!this.#isRest) parts.push({ kind: "rest", bytes: this.#restBegins() });
    this.#isRest = true;
    return [...parts, { kind: "rest", bytes: chunk.subarray(at) }];
  }

  /** Whether a file that ends here is whole. */
  get isAtEnd(): boolean {
    return this.#part === "padding" && this.#missing === fieldBytes.padding;
  }

  #beginning(): XzPart {
    const bytes = Buffer.concat([magic, sealed(this.#flags), this.#header]);
    return { kind: "block", bytes, sizes: this.#block, dictionaryBytes: dictionaryBytes(this.#header) };
  }

  #indexOfOne(): Buffer {
    const { unpadded, uncompressed } = this.#block;
    return makeIndex(this.#flags, 1, [...writeNumber(unpadded), ...writeNumber(uncompressed)]);
  }

  #restBegins(): Buffer {
    const bytes = Buffer.concat(this.#unsure);
    const isWithinStream = this.#blocks.count > 0 && !bytes.subarray(0, magic.length).equals(magic);
    return isWithinStream ? Buffer.concat([magic, sealed(this.#flags), bytes]) : bytes;
  }

  #take(bytes: Buffer): void {
    this.#position += bytes.length;
    this.#missing -= bytes.length;
    if (this.#part === "index") return this.#takeIndex(bytes.readUInt8(0));
    if (this.#part !== "block") this.#field = this.#field.length > 0 ? Buffer.concat([this.#field, bytes]) : bytes;
    if (this.#missing > 0) return;
    switch (this.#part) {
      case "streamHeader":
        return this.#startStream(this.#field);
      case "blockSize":
        return this.#readBlockSize(this.#field);
      case "blockHeader":
        return this.#startBlock(this.#field);
      case "block":
        return this.#endBlock();
      case "footer":
        return this.#endStream(this.#field);
      case "padding":
        return this.#readPadding(this.#field);
      case "lost":
    }
  }

  #expect(part: Part, missing = fieldBytes[part] ?? 0): void {
    this.#part = part;
    this.#missing = missing;
    this.#field = Buffer.alloc(0);
  }

  #lose(why: string): void {
    if (this.#remainder) throw new PointUnusable(`the xz stream cannot be followed: ${why}`);
    this.#part = "lost";
  }

  #startStream(header: Buffer): void {
    const flags = header.subarray(6, 8);
    const isRight = header.equals(Buffer.concat([magic, sealed(flags)])) && areFlags(flags);
    if (!isRight) return this.#lose("no stream begins where one should");
    this.#flags = Buffer.from(flags);
    this.#blocks = noBlocks;
    this.#expect("blockSize");
  }

  #readBlockSize(first: Buffer): void {
    const size = first.readUInt8(0);
    if (size === 0) {
      this.#index = new IndexReader();
      this.#isHeld = this.#remainder !== undefined;
      return this.#expect("index", 1);
    }
    this.#expect("blockHeader", size * 4 + 3);
    this.#field = first;
  }

  #startBlock(header: Buffer): void {
    if (!sealed(header.subarray(0, -4)).equals(header)) return this.#lose("a block's header is damaged");
    const sizes = readSizes(header);
    if (!sizes) return this.#lose("a block does not say its size");
    this.#header = header;
    const check = checkBytes[this.#flags.readUInt8(1)] ?? 0;
    this.#block = { unpadded: header.length + sizes.compressed + check, uncompressed: sizes.uncompressed };
    this.#expect("block", Math.ceil(sizes.compressed / 4) * 4 + check);
  }

  #endBlock(): void {
    this.#blocks = withBlock(this.#blocks, this.#block);
    this.#outputBytes += this.#block.uncompressed;
    const rest = this.#remainder;
    if (rest) {
      rest.count += 1;
      rest.records.push(...writeNumber(this.#block.unpadded), ...writeNumber(this.#block.uncompressed));
      if (rest.records.length > longestRecords) this.#lose("it has too many blocks");
    }
    this.#onPoint?.({
      inputBytes: this.#position,
      outputBytes: this.#outputBytes,
      state: writeState(this.#flags, this.#blocks),
    });
    this.#expect("blockSize");
  }

  #takeIndex(byte: number): void {
    this.#index.take(byte);
    this.#missing = 1;
    if (this.#index.isOver) this.#expect("footer");
  }

  #endStream(footer: Buffer): void {
    const size = Buffer.alloc(4);
    size.writeUInt32LE((this.#index.sizeBytes / 4 - 1) >>> 0);
    const expected = Buffer.concat([sealed(Buffer.concat([size, this.#flags]), "before"), Buffer.from("YZ")]);
    const isRight = this.#index.lists(this.#blocks) && footer.equals(expected);
    this.#isIndexRight = isRight;
    this.#blocks = noBlocks;
    const rest = this.#remainder;
    if (rest) {
      // The decoder sees only the rest of the blocks. Where the file's own index is wrong it gets a wrong one, and says so.
      this.#own.push(makeIndex(this.#flags, rest.count + (isRight ? 0 : 1), rest.records));
      this.#remainder = undefined;
      this.#isHeld = false;
    }
    this.#expect("padding");
  }

  /** Zeros in words, or the beginning of another stream. */
  #readPadding(word: Buffer): void {
    if (word.readUInt32LE(0) === 0) return this.#expect("padding");
    this.#expect("streamHeader", 8);
    this.#field = word;
  }
}

const areFlags = (flags: Buffer): boolean => flags[0] === 0 && flags.readUInt8(1) < checkBytes.length;

const writeState = (flags: Buffer, { count, hash }: BlockList): string => `${flags.toString("hex")}:${count}:${hash}`;

/** @throws PointUnusable: it may come from a file that anyone could change */
function readState({ state = "" }: DecodePoint): { flags: Buffer; blocks: BlockList } {
  const [, flags = "", count = "", hash = ""] = /^([0-9a-f]{4}):(\d{1,15}):([0-9a-f]{64})$/.exec(state) ?? [];
  const bytes = Buffer.from(flags, "hex");
  if (bytes.length !== 2 || !areFlags(bytes)) throw new PointUnusable("the point is not one of an xz stream");
  return { flags: bytes, blocks: { count: Number(count), hash } };
}
