// Follows zst frames from block to block without decoding them: the decoder itself tells neither where a frame ends nor that
// one is cut.

const frameMagic = 0xfd2fb528;
/** Sixteen magics in a row, of frames without data: pzstd and the seekable format write them. */
const skippableMagic = 0x184d2a50;
const dictionaryBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;
/** Of a block: its kind is a byte repeated. */
const repeated = 1;

type Part = "magic" | "descriptor" | "header" | "blockHeader" | "block" | "checksum" | "skipSize" | "skipped";

export class ZstFrames {
  #part: Part = "magic";
  #field: Buffer = Buffer.alloc(0);
  #missing = 4;
  #hasChecksum = false;
  #isLastBlock = false;

  /** Whether the bytes so far end where a frame does, or are none. */
  get isBetween(): boolean {
    return this.#part === "magic" && this.#field.length === 0;
  }

  /** Whether what comes where a frame should begin is none. */
  isStray = false;

  /** @returns where in the bytes the frame ends, or the number of bytes */
  endOfFrame(bytes: Buffer): number {
    for (let at = 0; at < bytes.length;) {
      const taken = Math.min(this.#missing, bytes.length - at);
      const isSkipped = this.#part === "block" || this.#part === "skipped";
      if (!isSkipped) this.#field = Buffer.concat([this.#field, bytes.subarray(at, at + taken)]);
      this.#missing -= taken;
      at += taken;
      if (this.#missing > 0) continue;
      this.#next(this.#field);
      if (this.isBetween || this.isStray) return at;
    }
    return bytes.length;
  }

  #next(field: Buffer): void {
    switch (this.#part) {
      case "magic":
        return this.#readMagic(field.readUInt32LE(0));
      case "descriptor":
        return this.#readDescriptor(field.readUInt8(0));
      case "header":
        return this.#expect("blockHeader", 3);
      case "blockHeader":
        return this.#readBlock(field.readUIntLE(0, 3));
      case "block":
        return this.#endBlock();
      case "skipSize":
        return this.#expectBytes("skipped", field.readUInt32LE(0));
      case "checksum":
      case "skipped":
        return this.#expect("magic", 4);
    }
  }

  #expect(part: Part, missing: number): void {
    this.#part = part;
    this.#missing = missing;
    this.#field = Buffer.alloc(0);
  }

  /** A part that may be empty. */
  #expectBytes(part: "block" | "skipped" | "header", bytes: number): void {
    this.#expect(part, bytes);
    if (bytes === 0) this.#next(this.#field);
  }

  #readMagic(word: number): void {
    if (word === frameMagic) return this.#expect("descriptor", 1);
    if ((word & 0xffff_fff0) >>> 0 === skippableMagic) return this.#expect("skipSize", 4);
    this.isStray = true;
  }

  #readDescriptor(bits: number): void {
    const isSingleSegment = (bits & 0x20) !== 0;
    this.#hasChecksum = (bits & 4) !== 0;
    const sizeBytes = contentSizeBytes[bits >> 6] || (isSingleSegment ? 1 : 0);
    this.#expectBytes("header", (isSingleSegment ? 0 : 1) + (dictionaryBytes[bits & 3] ?? 0) + sizeBytes);
  }

  #readBlock(word: number): void {
    this.#isLastBlock = (word & 1) !== 0;
    this.#expectBytes("block", ((word >> 1) & 3) === repeated ? 1 : word >> 3);
  }

  #endBlock(): void {
    if (!this.#isLastBlock) this.#expect("blockHeader", 3);
    else if (this.#hasChecksum) this.#expect("checksum", 4);
    else this.#expect("magic", 4);
  }
}
