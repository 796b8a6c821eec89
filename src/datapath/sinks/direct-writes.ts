// Large writes past the page cache: whole pages that already lie in memory as they will on the disk. The kernel then copies
// nothing, has nothing to write back and nothing to forget, which is a third of an import's processor time (docs/adr/0037).
import { constants } from "node:fs";
import { open, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { hold } from "../../lib/buffers.ts";
import { codeOf, isUnsupported } from "../../lib/syscalls.ts";
import type { Syscalls } from "../../lib/syscalls.ts";

/** A stretch begins with no less: each wait for the disk has to be worth it. */
const leastFirstBytes = 512 * 1024;
/** What goes on with a stretch may be smaller. */
const leastNextBytes = 64 * 1024;
/** A stretch is sent to the disk when it is this long. */
const stretchBytes = 4 * 1024 * 1024;
/** Stretches on their way to the disk; each keeps one of libuv's four threads. */
const mostUnderWay = 2;
/** statfs(2): ext2 to ext4 and xfs. Elsewhere direct I/O may be refused late, or wait for a server each time. */
const knownFileSystems = new Set([0xef53, 0x58465342]);

export interface DirectWritesOptions {
  /** Writes what the file system refuses to take directly, or took only in part. */
  readonly otherwise: (offset: number, bytes: Buffer) => Promise<void>;
  readonly calls: Pick<Syscalls, "pageBytes" | "placeInPage">;
}

/** Of a descriptor opened with O_DIRECT. */
type DirectHandle = Pick<FileHandle, "writev" | "close">;

/** Neighbours on the disk. */
interface Stretch {
  readonly offset: number;
  readonly pieces: Buffer[];
  bytes: number;
  readonly releases: (() => void)[];
}

export class DirectWrites {
  readonly #handle: DirectHandle;
  readonly #options: DirectWritesOptions;
  #filling: Stretch | undefined;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { cause: unknown } | undefined;
  #isRefused = false;

  constructor(handle: DirectHandle, options: DirectWritesOptions) {
    this.#handle = handle;
    this.#options = options;
  }

  /**
   * @param bytes that go to `offset`
   * @returns the whole pages in the middle of them, where they can go this way; undefined where they cannot
   */
  middleOf(offset: number, bytes: Buffer): { start: number; end: number } | undefined {
    const { calls } = this.#options;
    const { pageBytes } = calls;
    if (this.#isRefused || bytes.length < leastNextBytes) return undefined;
    const start = (pageBytes - (offset % pageBytes)) % pageBytes;
    const end = bytes.length - ((offset + bytes.length) % pageBytes);
    const filling = this.#filling;
    const goesOn = filling !== undefined && filling.offset + filling.bytes === offset + start;
    if (end - start < (goesOn ? leastNextBytes : leastFirstBytes)) return undefined;
    return calls.placeInPage(bytes) === offset % pageBytes ? { start, end } : undefined;
  }

  /**
   * Takes whole pages, of which `middleOf` told. They are read until they are on the disk, which is not waited for.
   * @returns false when the bytes' memory cannot be held: nothing is taken then
   * @throws what an earlier write did
   */
  async take(offset: number, pages: Buffer): Promise<boolean> {
    this.#refuseFailed();
    const release = hold(pages);
    if (!release) return false;
    const goesOn = this.#filling !== undefined && this.#filling.offset + this.#filling.bytes === offset;
    if (!goesOn) await this.#send();
    this.#filling ??= { offset, pieces: [], bytes: 0, releases: [] };
    this.#filling.pieces.push(pages);
    this.#filling.releases.push(release);
    this.#filling.bytes += pages.length;
    if (this.#filling.bytes >= stretchBytes) await this.#send();
    return true;
  }

  /** Everything taken is with the disk when this resolves. @throws what a write did */
  async drain(): Promise<void> {
    await this.#send();
    await Promise.all(this.#underWay);
    this.#refuseFailed();
  }

  /** Waits for what is under way; what was not sent is forgotten. Errors of writes are not told. */
  async close(): Promise<void> {
    for (const release of this.#filling?.releases ?? []) release();
    this.#filling = undefined;
    await Promise.all(this.#underWay);
    await this.#handle.close();
  }

  async #send(): Promise<void> {
    const stretch = this.#filling;
    if (!stretch) return;
    this.#filling = undefined;
    const written = this.#write(stretch)
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => {
        this.#underWay.delete(written);
        for (const release of stretch.releases) release();
      });
    this.#underWay.add(written);
    if (this.#underWay.size >= mostUnderWay) await Promise.race(this.#underWay);
    this.#refuseFailed();
  }

  async #write({ offset, pieces, bytes }: Stretch): Promise<void> {
    const done = this.#isRefused ? 0 : await this.#writeDirectly(offset, pieces);
    if (done === bytes) return;
    let at = offset;
    for (const piece of pieces) {
      const before = Math.min(Math.max(0, offset + done - at), piece.length);
      if (before < piece.length) await this.#options.otherwise(at + before, piece.subarray(before));
      at += piece.length;
    }
  }

  async #writeDirectly(offset: number, pieces: Buffer[]): Promise<number> {
    try {
      const { bytesWritten } = await this.#handle.writev(pieces, offset);
      return bytesWritten;
    } catch (cause) {
      if (!isUnsupported(cause)) throw cause;
      this.#isRefused = true;
      return 0;
    }
  }

  #refuseFailed(): void {
    if (this.#failure) throw this.#failure.cause;
  }
}

/**
 * @param path of the open target, to ask which file system it lies on
 * @returns undefined where writes should go through the page cache
 */
export async function directWrites(
  target: FileHandle,
  path: string,
  calls: Syscalls,
  otherwise: DirectWritesOptions["otherwise"],
): Promise<DirectWrites | undefined> {
  if (!calls.native) return undefined;
  const isDevice = (await target.stat()).isBlockDevice();
  if (!isDevice && !knownFileSystems.has((await statfs(path)).type)) return undefined;
  try {
    // The very file that is open, whatever lies at its path by now.
    const handle = await open(`/proc/self/fd/${target.fd}`, constants.O_WRONLY | constants.O_DIRECT);
    return new DirectWrites(handle, { otherwise, calls });
  } catch (cause) {
    // No /proc, or a file system that takes no such descriptor.
    if (codeOf(cause) === undefined) throw cause;
    return undefined;
  }
}
