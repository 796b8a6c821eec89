// Keeps the checkpoint of one import: finds an earlier one that fits, writes new ones as the target fills, and takes it away when
// the target is done or of no use.
import { Fault } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import type { DecodePoint } from "../decoders/index.ts";
import type { Compression } from "../sniff.ts";
import { tellResumed } from "../progress.ts";
import type { Progress, Sink, Source, SourceFacts } from "../types.ts";
import { readCheckpointFile, removeCheckpointFile, writeCheckpointFile } from "./file.ts";
import { begunMark, checkpointOf, differenceOf, readCheckpoint, writeCheckpoint } from "./record.ts";
import type { Checkpoint, CheckpointOf } from "./record.ts";
import type { SegmentedDigest } from "./segmented-digest.ts";

const MIB = 1024 * 1024;

/** What a disk must have taken before it is worth a word that it is begun anew, bytes. */
const markedFromBytes = 4 * MIB;

/** Where an import's checkpoint lies, and whose it is. */
export interface CheckpointPlace {
  readonly path: string;
  /** OWNER_UID: another import's checkpoint is not this one's. */
  readonly owner: string;
}

/** What is known once the head was seen. */
export type Pouring = Pick<Checkpoint, "road" | "format"> & { layer?: Compression | undefined };

/** Bytes of the source between two checkpoints: a restart fetches about so much again. */
export const stepBytesOf = (sizeBytes: number): number =>
  Math.min(32 * MIB, Math.max(2 * MIB, Math.floor(sizeBytes / 128)));

export class CheckpointKeeper {
  readonly #place: CheckpointPlace;
  readonly #sink: Sink;
  readonly #progress: Progress;
  readonly #log: Log;
  #of: CheckpointOf | undefined;
  #pouring: Pouring | undefined;
  #from: Checkpoint | undefined;
  #digest: SegmentedDigest | undefined;
  #tables: string | undefined;
  #points: DecodePoint[] = [];
  #savedTo = 0;
  #lagBytes = 0;
  #saving: Promise<void> | undefined;
  #isOff = false;
  #hasMarked = false;
  /** A checkpoint of this import lies there. */
  hasSaved = false;
  /** This try goes on with what an earlier process wrote. */
  get wentOn(): boolean {
    return this.#from !== undefined;
  }

  constructor(place: CheckpointPlace, sink: Sink, progress: Progress, log: Log) {
    this.#place = place;
    this.#progress = progress;
    this.#sink = sink;
    this.#log = log;
  }

  /** A new try begins. @returns the checkpoint to go on from; where there is none that fits, what lies there is removed */
  async find(source: Source, facts: SourceFacts, checksum: string): Promise<Checkpoint | undefined> {
    await this.#saving;
    this.#of = checkpointOf(this.#place.owner, source, facts, checksum);
    this.#pouring = undefined;
    this.#from = undefined;
    this.#points = [];
    this.#savedTo = 0;
    const found = await this.#read().catch((cause: unknown) => String(cause));
    const why = typeof found === "string" ? found : found && this.#mismatch(found);
    if (typeof found === "object" && why === undefined) {
      this.hasSaved = true;
      return found;
    }
    if (why === undefined) return undefined;
    tellResumed(this.#progress, this.#log, 0, why);
    await this.remove();
    return undefined;
  }

  /** The sink, before whose emptying the checkpoint goes: what it says would be taken for true of the new target. */
  guarded(): Sink {
    const sink = this.#sink;
    const emptied = async <T>(act: () => Promise<T>): Promise<T> => {
      if (this.hasSaved) await this.remove();
      return await act();
    };
    return Object.create(sink, {
      begin: { value: (bytes: number) => emptied(() => sink.begin(bytes)) },
      lend: { value: (bytes: number) => emptied(() => sink.lend(bytes)) },
    }) as Sink;
  }

  /** @param digest absent where no checksum was asked for @param from the checkpoint that is gone on from */
  pour(pouring: Pouring, digest: SegmentedDigest | undefined, from?: Checkpoint): void {
    this.#pouring = pouring;
    this.#digest = digest;
    this.#from = from;
    this.#tables = undefined;
    this.#savedTo = from?.inputBytes ?? 0;
  }

  /**
   * The hash of the tables read ahead goes into each checkpoint from now on. @throws Fault SourceChanged when the checkpoint it
   * went on from was of other tables: what is placed then came by them
   */
  onTables(hash: string): void {
    if (this.#from && this.#from.tables !== hash) {
      throw new Fault("SourceChanged", "the image's tables are others than before the restart");
    }
    this.#tables = hash;
  }

  readonly onPoint = (point: DecodePoint): void => {
    this.#points.push(point);
  };

  /** Everything of the stream below was handed to the target. */
  placed(outputBytes: number): void {
    if (!this.#pouring || this.#isOff) return;
    if (!this.#pouring.layer) return this.reached({ inputBytes: outputBytes, outputBytes });
    const index = this.#points.findLastIndex((point) => point.outputBytes <= outputBytes);
    if (index < 0) return this.#markBegun(outputBytes);
    this.#points = this.#points.slice(index);
    const [point] = this.#points;
    if (point) this.reached(point);
  }

  /** A stream without any place to go on from so far: a restart is to say why it begins anew. */
  #markBegun(outputBytes: number): void {
    if (this.#hasMarked || this.#saving || this.hasSaved || outputBytes < markedFromBytes) return;
    this.#hasMarked = true;
    this.#saving = writeCheckpointFile(this.#place.path, begunMark)
      .catch((cause: unknown) => this.#log.warn("Writing a checkpoint failed", { error: cause }))
      .finally(() => (this.#saving = undefined));
  }

  /** As `placed`, told by a place in the source. */
  reached(point: DecodePoint): void {
    if (!this.#pouring || !this.#of || this.#isOff) return;
    this.#lagBytes = point.inputBytes - this.#savedTo;
    if (this.#saving || this.#lagBytes < stepBytesOf(this.#of.sizeBytes)) return;
    this.#saving = this.#save(point).finally(() => (this.#saving = undefined));
  }

  /** A disk slower than the network would let a restart lose ever more: then it is waited for. */
  readonly pace = (): Promise<void> | undefined =>
    this.#saving && this.#of && this.#lagBytes >= 1.5 * stepBytesOf(this.#of.sizeBytes) ? this.#saving : undefined;

  /** Before the commit: a finished disk has no checkpoint. */
  async end(): Promise<void> {
    this.#isOff = true;
    await this.#saving;
    if (this.hasSaved || this.#hasMarked) await this.remove();
  }

  /** Nothing is written any more; what was stays. */
  async rest(): Promise<void> {
    this.#isOff = true;
    await this.#saving;
  }

  async remove(): Promise<void> {
    await this.#saving;
    this.hasSaved = false;
    this.#hasMarked = false;
    await removeCheckpointFile(this.#place.path).catch((cause: unknown) => {
      // One that cannot be removed could later be taken for the new target's.
      this.#isOff = true;
      this.#log.warn("Removing a checkpoint failed", { path: this.#place.path, error: cause });
    });
  }

  async #read(): Promise<Checkpoint | string | undefined> {
    const text = await readCheckpointFile(this.#place.path);
    return text === undefined ? undefined : readCheckpoint(text);
  }

  #mismatch(found: Checkpoint): string | undefined {
    if (!this.#of) return "the source cannot prove that it is the same";
    const field = differenceOf(found, this.#of);
    return field && `its ${field} is another`;
  }

  /** Trouble here is none of the import's: it goes on without. */
  async #save({ inputBytes, outputBytes, state }: DecodePoint): Promise<void> {
    const pouring = this.#pouring;
    if (!pouring || !this.#of) return;
    try {
      const digest = this.#digest?.at(inputBytes);
      const tables = this.#tables;
      const sink = await this.#sink.mark?.();
      if (!sink) {
        this.#isOff = true;
        return;
      }
      const { layer, ...rest } = pouring;
      const text = writeCheckpoint({
        ...this.#of,
        ...rest,
        ...(layer ? { layer } : {}),
        inputBytes,
        outputBytes,
        ...(state === undefined ? {} : { decoderState: state }),
        ...(digest ? { digest } : {}),
        ...(tables === undefined ? {} : { tables }),
        sink,
      });
      await writeCheckpointFile(this.#place.path, text);
      this.hasSaved = true;
      this.#savedTo = inputBytes;
    } catch (cause) {
      this.#isOff = true;
      this.#log.warn("Writing a checkpoint failed; the import goes on without", { error: cause });
    }
  }
}
