// Bytes of a stream that passed before it was known what they are: in memory up to a bound, then in a scratch file, each at
// its own offset there.
import { constants } from "node:fs";
import { open, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../lib/faults.ts";
import { targetFault } from "../sinks/index.ts";
import type { KeptStretch } from "./pass-state.ts";

const MIB = 1024 * 1024;
const pieceBytes = MIB;
/** What waits in memory at most. */
export const keptInMemoryBytes = 32 * MIB;
/** More stretches than this are no honest image. */
const mostStretches = 1 << 18;

export interface KeptOptions {
  /** Where bytes go that find no room in memory. */
  scratch: { dir: string; fileName: string } | undefined;
  /** Told each time with the bytes in scratch. */
  onScratch: (bytes: number) => void;
  /** Default `keptInMemoryBytes`. */
  memoryBytes?: number;
}

interface Stretch {
  host: number;
  length: number;
  /** Undefined when it lies in scratch. */
  memory: Buffer | undefined;
}

/** Stretches come in the order of the file. */
export class KeptBytes {
  readonly #options: KeptOptions;
  #stretches: Stretch[] = [];
  #memoryBytes = 0;
  #scratchBytes = 0;
  #file: { handle: FileHandle; path: string } | undefined;

  constructor(options: KeptOptions) {
    this.#options = options;
  }

  /** @returns false when there is no room for them, and nothing was kept. @throws Fault of the scratch volume */
  async keep(host: number, bytes: Buffer): Promise<boolean> {
    for (let at = 0; at < bytes.length;) {
      const taken = this.#intoMemory(host + at, bytes.subarray(at));
      if (taken === 0) return await this.#intoScratch(host + at, bytes.subarray(at));
      at += taken;
    }
    return true;
  }

  /**
   * Bytes from `host` on, as many as are there without a gap, `length` at most.
   * @throws Fault of the scratch volume
   */
  async read(host: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = host, index = this.#indexAt(host); at < host + length; index += 1) {
      const stretch = this.#stretches[index];
      if (!stretch || at < stretch.host || at >= stretch.host + stretch.length) break;
      const from = at - stretch.host;
      const count = Math.min(stretch.length - from, host + length - at);
      parts.push(stretch.memory?.subarray(from, from + count) ?? (await this.#fromScratch(at, count)));
      at += count;
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  }

  /** In the order of the file; undefined when some of it is not in memory. */
  all(): KeptStretch[] | undefined {
    const some: KeptStretch[] = [];
    for (const { host, length, memory } of this.#stretches) {
      if (!memory) return undefined;
      some.push({ host, bytes: memory.subarray(0, length) });
    }
    return some;
  }

  /** Nothing of it is wanted any more. */
  clear(): void {
    this.#stretches = [];
    this.#memoryBytes = 0;
  }

  /** Removes the scratch file. */
  async close(): Promise<void> {
    this.clear();
    if (!this.#file) return;
    await this.#file.handle.close();
    await rm(this.#file.path, { force: true });
    this.#file = undefined;
  }

  #intoMemory(host: number, bytes: Buffer): number {
    // What is in scratch stays behind what is in memory: the list is in order either way.
    if (this.#file) return 0;
    const last = this.#stretches.at(-1);
    if (last?.memory && last.host + last.length === host && last.length < last.memory.length) {
      const taken = bytes.copy(last.memory, last.length);
      last.length += taken;
      return taken;
    }
    const { memoryBytes = keptInMemoryBytes } = this.#options;
    // Scattered bits get small pieces, long stretches large ones.
    const follows = last !== undefined && last.host + last.length === host;
    const room = Math.max(follows ? Math.min(2 * last.length, pieceBytes) : 0, Math.min(bytes.length, pieceBytes));
    if (this.#memoryBytes + room > memoryBytes || this.#stretches.length >= mostStretches) return 0;
    const memory = Buffer.allocUnsafeSlow(room);
    const taken = bytes.copy(memory);
    this.#memoryBytes += room;
    this.#stretches.push({ host, length: taken, memory });
    return taken;
  }

  async #intoScratch(host: number, bytes: Buffer): Promise<boolean> {
    const { scratch, onScratch } = this.#options;
    if (!scratch || this.#stretches.length >= mostStretches) return false;
    this.#file ??= await create(join(scratch.dir, scratch.fileName));
    const { handle, path } = this.#file;
    try {
      for (let done = 0; done < bytes.length;) {
        done += (await handle.write(bytes, done, bytes.length - done, host + done)).bytesWritten;
      }
    } catch (cause) {
      throw targetFault(cause, `write to scratch space ${path}`);
    }
    const last = this.#stretches.at(-1);
    if (last && !last.memory && last.host + last.length === host) last.length += bytes.length;
    else this.#stretches.push({ host, length: bytes.length, memory: undefined });
    this.#scratchBytes += bytes.length;
    onScratch(this.#scratchBytes);
    return true;
  }

  async #fromScratch(host: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const read = await this.#file?.handle.read(bytes, done, length - done, host + done);
      if (!read?.bytesRead) throw new Fault("TargetIo", `scratch space ends at byte ${host + done}`);
      done += read.bytesRead;
    }
    return bytes;
  }

  /** The last stretch that begins at or before the offset. */
  #indexAt(host: number): number {
    let low = 0;
    let high = this.#stretches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#stretches[middle]?.host ?? 0) <= host) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

async function create(path: string): Promise<{ handle: FileHandle; path: string }> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600).catch((cause: unknown) => {
    throw targetFault(cause, `create ${path}`);
  });
  return { handle, path };
}
