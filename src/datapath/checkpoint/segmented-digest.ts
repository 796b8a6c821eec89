// A digest that remembers how it stood at each segment's border, so that a checkpoint can be given the state at or before a place
// that the bytes passed a while ago.
import {
  savableDigest,
  type SavableAlgorithm,
  type SavableDigest,
  type SavedDigest,
} from "../../lib/syscalls-digest.ts";

/** What is read and hashed again at most after a restart, bytes. */
const segmentBytes = 1024 * 1024;

export class SegmentedDigest {
  readonly #digest: SavableDigest;
  #states: SavedDigest[];

  /** @returns undefined where no digest can be saved here */
  static of(algorithm: SavableAlgorithm, from?: SavedDigest): SegmentedDigest | undefined {
    const digest = savableDigest(algorithm, from);
    return digest && new SegmentedDigest(digest);
  }

  private constructor(digest: SavableDigest) {
    this.#digest = digest;
    this.#states = [digest.save()];
  }

  update(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const end = Math.min(chunk.length, at + segmentBytes - (this.#digest.bytes % segmentBytes));
      this.#digest.update(chunk.subarray(at, end));
      at = end;
      if (this.#digest.bytes % segmentBytes === 0) this.#states.push(this.#digest.save());
    }
  }

  /** The last state at or before the offset. What comes before it is forgotten: offsets rise. */
  at(offset: number): SavedDigest | undefined {
    const index = this.#states.findLastIndex(({ bytes }) => bytes <= offset);
    this.#states = this.#states.slice(Math.max(0, index));
    return index < 0 ? undefined : this.#states[0];
  }

  digest(): string {
    return this.#digest.digest();
  }
}
