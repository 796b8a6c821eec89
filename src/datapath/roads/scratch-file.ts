// The file in scratch space that an image is fetched into, and beside it how far it is: a later process over the same scratch
// space goes on with it, once its bytes have been read again and are what was fetched.
import { constants } from "node:fs";
import { open, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { faultOf } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import { CheckpointKeeper, type CheckpointPlace } from "../checkpoint/keeper.ts";
import type { Checkpoint } from "../checkpoint/record.ts";
import { SegmentedDigest } from "../checkpoint/segmented-digest.ts";
import { tellResumed } from "../progress.ts";
import { targetFault } from "../sinks/index.ts";
import { sniffBytes, sniffDisk, type Compression } from "../sniff.ts";
import type { Progress, SinkMark, Source, SourceFacts } from "../types.ts";
import type { ScratchPlace } from "./road.ts";

/** Of what is read again at a time. */
const pieceBytes = 1024 * 1024;

export interface ScratchFileOptions {
  readonly place: ScratchPlace;
  /** Absent: nobody goes on with it. */
  readonly checkpoint: CheckpointPlace | undefined;
  readonly progress: Progress;
  readonly log: Log;
}

/** What an earlier process fetched. */
export interface Fetched {
  readonly checkpoint: Checkpoint;
  /** Of the image. */
  readonly head: Buffer;
}

/** What says how far the file there is. */
export const scratchCheckpointPath = ({ dir, fileName }: ScratchPlace): string => join(dir, `${fileName}.checkpoint`);

export class ScratchFile {
  readonly path: string;
  readonly #options: ScratchFileOptions;
  #keeper: CheckpointKeeper | undefined;
  #handle: FileHandle | undefined;
  #from: Checkpoint | undefined;
  #bytes = 0;
  /** Of all of them. */
  #crc = 0;
  #isTouched = false;
  /** This try goes on with what an earlier process fetched. */
  get wentOn(): boolean {
    return this.#from !== undefined;
  }

  constructor(options: ScratchFileOptions) {
    this.#options = options;
    this.path = join(options.place.dir, options.place.fileName);
  }

  /** @returns what can be gone on with; what cannot is gone */
  async find(source: Source, facts: SourceFacts, checksum: string, signal: AbortSignal): Promise<Fetched | undefined> {
    await this.close();
    this.#from = undefined;
    const { checkpoint: of, progress, log } = this.#options;
    if (!of) return undefined;
    const beside = { path: scratchCheckpointPath(this.#options.place), owner: of.owner };
    this.#keeper = new CheckpointKeeper(beside, { mark: () => this.#mark() }, progress, log);
    const checkpoint = await this.#keeper.find(source, facts, checksum);
    if (!checkpoint) return undefined;
    this.#isTouched = true;
    const head = await this.#reopen(checkpoint, signal).catch((cause: unknown) => String(cause));
    signal.throwIfAborted();
    if (typeof head !== "string") {
      this.#from = checkpoint;
      tellResumed(progress, log, checkpoint.inputBytes);
      return { checkpoint, head };
    }
    tellResumed(progress, log, 0, `what an earlier process fetched is of no use: ${head}`);
    await this.remove();
    return undefined;
  }

  /** Opens it, empty unless it is gone on with. @param digest absent where none can be put away @throws Fault */
  async begin(
    format: string,
    layer: Compression | undefined,
    digest: SegmentedDigest | "none" | undefined,
  ): Promise<void> {
    this.#isTouched = true;
    if (!this.#from) {
      this.#bytes = 0;
      this.#crc = 0;
      await this.#keeper?.remove();
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
      this.#handle = await open(this.path, flags, 0o600).catch((cause: unknown) => {
        throw targetFault(cause, `create ${this.path}`);
      });
    }
    if (!digest) return;
    this.#keeper?.pour({ road: "straight", format, layer }, digest === "none" ? undefined : digest, this.#from);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws Fault */
  async write(chunk: Buffer): Promise<void> {
    const handle = this.#handle;
    if (!handle) throw new Error("the scratch file is not open");
    try {
      for (let done = 0; done < chunk.length;) {
        done += (await handle.write(chunk, done, chunk.length - done, this.#bytes + done)).bytesWritten;
      }
    } catch (cause) {
      throw targetFault(cause, `write to scratch space ${this.path}`);
    }
    this.#bytes += chunk.length;
    if (this.#keeper) this.#crc = crc32(chunk, this.#crc);
    this.#keeper?.placed(this.#bytes);
    await this.#keeper?.pace();
  }

  /** Nothing more is written. */
  async close(): Promise<void> {
    await this.#keeper?.rest();
    await this.#handle?.close();
    this.#handle = undefined;
  }

  /** After a failure: stays for another process where that one may do better with it. Never throws. */
  async leave(cause: unknown, signal: AbortSignal): Promise<void> {
    if (!this.#isTouched) return;
    const { code, retryable } = faultOf(cause);
    const mayGoOn = signal.aborted || (retryable && code !== "SourceChanged");
    try {
      await this.close();
      if (!mayGoOn || !this.#keeper?.hasSaved) await this.remove();
    } catch (error) {
      this.#options.log.warn("Clearing scratch space failed", { path: this.path, error });
    }
  }

  async remove(): Promise<void> {
    if (!this.#isTouched) return;
    this.#isTouched = false;
    this.#from = undefined;
    await this.close();
    await this.#keeper?.remove();
    await rm(this.path, { force: true });
  }

  async #mark(): Promise<SinkMark> {
    // Before anything is waited for: more is written meanwhile.
    const [bytes, crc] = [this.#bytes, this.#crc];
    await this.#handle?.datasync();
    return { virtualSizeBytes: bytes, sizeBytes: bytes, writtenBytes: bytes, crc32: crc };
  }

  /** It is volume content: looked at as something a stranger may have put there. */
  async #reopen({ inputBytes, format, layer, digest, sink }: Checkpoint, signal: AbortSignal): Promise<Buffer> {
    if (layer !== undefined || sink.sizeBytes !== inputBytes) throw new Error("it is of another road");
    if (digest && !SegmentedDigest.of(digest.algorithm, digest)) throw new Error("its digest cannot be gone on with");
    const handle = await open(this.path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    this.#handle = handle;
    const found = await handle.stat();
    if (!found.isFile() || found.nlink !== 1 || found.size < inputBytes) throw new Error("it is not the file it was");
    await handle.truncate(inputBytes);
    const { head, crc } = await readAgain(handle, inputBytes, signal);
    if (crc !== sink.crc32) throw new Error("its bytes are others");
    if (sniffDisk(head) !== format) throw new Error("it is another image");
    this.#bytes = inputBytes;
    this.#crc = crc;
    return head;
  }
}

async function readAgain(
  handle: FileHandle,
  bytes: number,
  signal: AbortSignal,
): Promise<{ head: Buffer; crc: number }> {
  const head = Buffer.alloc(Math.min(sniffBytes, bytes));
  const piece = Buffer.alloc(pieceBytes);
  let crc = 0;
  for (let at = 0; at < bytes;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(piece, 0, Math.min(pieceBytes, bytes - at), at);
    if (bytesRead === 0) throw new Error("it ends too soon");
    piece.copy(head, Math.min(at, head.length), 0, bytesRead);
    crc = crc32(piece.subarray(0, bytesRead), crc);
    at += bytesRead;
  }
  return { head, crc };
}
