// A digest that remembers how it stood at each segment's border, so that a checkpoint can be given the state at or before a place
// that the bytes passed a while ago.
import {
  savableDigest,
  type SavableAlgorithm,
  type SavableDigest,
  type SavedDigest,
} from "../../lib/syscalls-digest.ts";

/** What is read and hashed again at most after a restart, bytes, beside the few chunks that wait to be hashed (tap.ts). */
const segmentBytes = 1024 * 1024;
/** Less than this is hashed sooner than another thread is told of it. */
const smallBytes = 128 * 1024;

export class SegmentedDigest {
  readonly #digest: SavableDigest;
  readonly #keepsStates: boolean;
  #states: SavedDigest[];

  /** @returns undefined where no digest can be saved here */
  static of(algorithm: SavableAlgorithm, from?: SavedDigest): SegmentedDigest | undefined {
    const digest = savableDigest(algorithm, from);
    return digest && new SegmentedDigest(digest, true);
  }

  /** One that nobody will ask for a state. @returns undefined where that is not to be had here */
  static withoutStates(algorithm: SavableAlgorithm): SegmentedDigest | undefined {
    const digest = savableDigest(algorithm);
    return digest && new SegmentedDigest(digest, false);
  }

  private constructor(digest: SavableDigest, keepsStates: boolean) {
    this.#digest = digest;
    this.#keepsStates = keepsStates;
    this.#states = [digest.save()];
  }

  /** The chunk must stay as it is, and the next one wait, until it resolves. */
  async update(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const end = Math.min(chunk.length, at + segmentBytes - (this.#digest.bytes % segmentBytes));
      const piece = chunk.subarray(at, end);
      if (piece.length < smallBytes) this.#digest.update(piece);
      else await this.#digest.updateInBackground(piece);
      at = end;
      if (this.#keepsStates && this.#digest.bytes % segmentBytes === 0) this.#states.push(this.#digest.save());
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
