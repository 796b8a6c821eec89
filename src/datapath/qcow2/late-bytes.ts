// What a stream's pass can still get at of the bytes that came by: those nobody knew the place of were kept raw, those that
// were placed are on the target.
import type { KeptBytes } from "./kept-bytes.ts";
import { PassDeclined } from "./pass-declined.ts";
import type { PassState } from "./pass-state.ts";
import { PlacedClusters } from "./placed-clusters.ts";

export interface LateBytesOptions {
  kept: KeptBytes;
  /** Fills the buffer with what was placed at the offset of the disk; absent where the target cannot be read. */
  readPlaced?: ((guest: number, into: Buffer) => Promise<void>) | undefined;
}

export class LateBytes {
  readonly #options: LateBytesOptions;
  readonly #placed = new PlacedClusters();

  constructor(options: LateBytesOptions) {
    this.#options = options;
  }

  /** @throws PassDeclined when there is no room for them, Fault of the scratch volume */
  async keep(host: number, bytes: Buffer): Promise<void> {
    if (!(await this.#options.kept.keep(host, bytes))) {
      throw new PassDeclined("too much of the image comes before its tables", true);
    }
  }

  /** As PlacedClusters.add. @throws PassDeclined when there are too many to remember */
  notePlaced(host: number, length: number, guest: number, isCompressed: boolean): void {
    if (!this.#options.readPlaced || this.#placed.add(host, length, guest, isCompressed)) return;
    throw new PassDeclined("too much of the image is placed before its last tables");
  }

  /** The cluster that was unpacked from the bytes at `host`, if one was. @throws Fault of the target */
  async unpackedBefore(host: number, clusterBytes: number): Promise<Buffer | undefined> {
    const placed = this.#placed.at(host);
    if (!placed?.isCompressed || placed.host !== host) return undefined;
    return await this.#fromTarget(placed.guest, clusterBytes);
  }

  /** The file's bytes from `host` on, as many as are to be had without a gap, `length` at most. @throws Fault */
  async read(host: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let done = 0; done < length;) {
      const at = host + done;
      const part = await this.#readSome(at, length - done);
      if (part.length === 0) break;
      parts.push(part);
      done += part.length;
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  }

  /** What another process has to know of it; undefined when it is not to be had at once. */
  state(): Pick<PassState, "placed" | "kept"> | undefined {
    const kept = this.#options.kept.all();
    return kept && { placed: this.#placed.all(), kept };
  }

  /** Goes on with what another process knew. @throws as `keep` and `notePlaced` */
  async restore({ placed, kept }: Pick<PassState, "placed" | "kept">): Promise<void> {
    for (const { host, length, guest, isCompressed } of placed) this.notePlaced(host, length, guest, isCompressed);
    for (const { host, bytes } of kept) await this.keep(host, bytes);
  }

  /** Nothing of it is wanted any more. */
  clear(): void {
    this.#options.kept.clear();
    this.#placed.clear();
  }

  async #readSome(at: number, most: number): Promise<Buffer> {
    const kept = await this.#options.kept.read(at, most);
    if (kept.length > 0) return kept;
    const placed = this.#placed.at(at);
    if (!placed || placed.isCompressed) return kept;
    const from = at - placed.host;
    return await this.#fromTarget(placed.guest + from, Math.min(most, placed.length - from));
  }

  async #fromTarget(guest: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    await this.#options.readPlaced?.(guest, bytes);
    return bytes;
  }
}
