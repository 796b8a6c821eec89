// Holds the bytes that were used as tables against the same bytes when the pass reaches them: with a checksum, only what was
// hashed may have been used.
import { createHash, type Hash } from "node:crypto";
import { Fault } from "../../lib/faults.ts";

interface ReadRange {
  offset: number;
  length: number;
  digest: Buffer;
}

const digestOf = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();

export class TableCheck {
  readonly #name: string;
  #ranges: ReadRange[] = [];
  #waiting: ReadRange[] | undefined;
  #underWay: { range: ReadRange; hash: Hash }[] = [];

  /** @param name of the source */
  constructor(name: string) {
    this.#name = name;
  }

  /** Tells of a read. A range that was read before must be the same. @throws Fault SourceChanged */
  note(offset: number, bytes: Buffer): void {
    const range = { offset, length: bytes.length, digest: digestOf(bytes) };
    if (!this.#waiting) return void this.#ranges.push(range);
    const before = this.#ranges.find((one) => one.offset === offset && one.length === bytes.length);
    if (!before?.digest.equals(range.digest)) throw this.#changed(offset);
  }

  /** @returns a hash over all that was told of so far, by which another process knows that it read the same tables */
  noted(): string {
    const hash = createHash("sha256");
    for (const { offset, length, digest } of this.#ranges) hash.update(`${offset}/${length}:`).update(digest);
    return hash.digest("hex");
  }

  /**
   * The next bytes of the file, in order and without gaps. Tables before the first of them are not compared: a pass that goes
   * on in the middle relies on the source's validator for them.
   * @throws Fault SourceChanged
   */
  pass(offset: number, bytes: Buffer): void {
    this.#waiting ??= this.#ranges
      .filter((range) => range.offset >= offset)
      .toSorted((one, other) => other.offset - one.offset);
    const end = offset + bytes.length;
    for (let next = this.#waiting.at(-1); next && next.offset < end; next = this.#waiting.at(-1)) {
      this.#waiting.pop();
      this.#underWay.push({ range: next, hash: createHash("sha256") });
    }
    this.#underWay = this.#underWay.filter(({ range, hash }) => {
      const rangeEnd = range.offset + range.length;
      hash.update(bytes.subarray(Math.max(0, range.offset - offset), rangeEnd - offset));
      if (rangeEnd > end) return true;
      if (!hash.digest().equals(range.digest)) throw this.#changed(range.offset);
      return false;
    });
  }

  #changed(offset: number): Fault {
    return new Fault("SourceChanged", `${this.#name} changed while it was read: other bytes at ${offset}`);
  }
}
