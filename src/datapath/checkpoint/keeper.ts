// Keeps the checkpoint of one import: finds an earlier one that fits, writes new ones as the target fills, and takes it away when
// the target is done or of no use.
import { Fault } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import type { DecodePoint } from "../decoders/index.ts";
import { sniffBytes, type Compression } from "../sniff.ts";
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
  /** Whether an import that ends by the cause is gone on with by another process. Default: when it was stopped, or may pass. */
  readonly outlives?: (cause: unknown) => boolean;
  /** Given, as the import begins, what makes its bytes safe on demand. */
  readonly onBegin?: (keeper: Pick<CheckpointKeeper, "settle">) => void;
}

interface Reached {
  readonly point: DecodePoint;
  /** What the road has to know to go on there; undefined while it cannot tell. */
  readonly state: (() => Buffer | undefined) | undefined;
}

/** What is known once the head was seen. */
export type Pouring = Pick<Checkpoint, "road" | "format"> & { layer?: Compression | undefined };

/** Bytes of the source between two checkpoints: a restart fetches about so much again. */
export const stepBytesOf = (sizeBytes: number): number =>
  Math.min(32 * MIB, Math.max(2 * MIB, Math.floor(sizeBytes / 128)));

export class CheckpointKeeper {
  readonly #place: CheckpointPlace;
  readonly #sink: Pick<Sink, "mark">;
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
  #last: Reached | undefined;
  /** Told by the road; undefined before there is one, and where none tells. */
  #takenTo: number | undefined;
  #waiting: (() => void)[] = [];
  #saving: Promise<void> | undefined;
  #isOff = false;
  #hasMarked = false;
  /** A checkpoint of this import lies there. */
  hasSaved = false;
  /** This try goes on with what an earlier process wrote. */
  get wentOn(): boolean {
    return this.#from !== undefined;
  }

  constructor(place: CheckpointPlace, sink: Pick<Sink, "mark">, progress: Progress, log: Log) {
    this.#place = place;
    this.#progress = progress;
    this.#sink = sink;
    this.#log = log;
    place.onBegin?.(this);
  }

  /** A new try begins. @returns the checkpoint to go on from; where there is none that fits, what lies there is removed */
  async find(source: Source, facts: SourceFacts, checksum: string): Promise<Checkpoint | undefined> {
    await this.#saving;
    this.#of = checkpointOf(this.#place.owner, source, facts, checksum);
    this.#pouring = undefined;
    this.#from = undefined;
    this.#points = [];
    this.#savedTo = 0;
    this.#last = undefined;
    this.#takenTo = undefined;
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
  guarded(sink: Sink): Sink {
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
    this.#wake();
  }

  /** Nothing of this try can be gone on with. */
  readonly passOver = (): void => {
    this.#pouring = undefined;
    this.#takenTo = Infinity;
    this.#wake();
  };

  /** The road waits for what comes behind. */
  readonly taken = (inputBytes: number): void => {
    this.#takenTo = inputBytes;
    this.#wake();
  };

  /**
   * Resolves when so many bytes of the source are safe, or it is clear that they will not be before more of them come. They must
   * have been given to the import. Never rejects.
   */
  async settle(inputBytes: number): Promise<void> {
    // Of fewer it is not known yet what they are.
    if (inputBytes < sniffBytes) return;
    while (!this.#isOff && !this.#isCompressed && (this.#takenTo ?? 0) < inputBytes) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    await this.#saving;
    const last = this.#last;
    if (!last || this.#isOff || last.point.inputBytes <= this.#savedTo) return;
    this.#saving = this.#save(last).finally(() => (this.#saving = undefined));
    await this.#saving;
  }

  /** Then only the decoder tells of places to go on from. */
  get #isCompressed(): boolean {
    return this.#pouring?.layer !== undefined;
  }

  #wake(): void {
    for (const act of this.#waiting.splice(0)) act();
  }

  #turnOff(): void {
    this.#isOff = true;
    this.#wake();
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
  reached(point: DecodePoint, state?: Reached["state"]): void {
    if (!this.#pouring || !this.#of || this.#isOff) return;
    this.#last = { point, state };
    this.#lagBytes = point.inputBytes - this.#savedTo;
    if (this.#saving || this.#lagBytes < stepBytesOf(this.#of.sizeBytes)) return;
    this.#saving = this.#save(this.#last).finally(() => (this.#saving = undefined));
  }

  /** A disk slower than the network would let a restart lose ever more: then it is waited for. */
  readonly pace = (): Promise<void> | undefined =>
    this.#saving && this.#of && this.#lagBytes >= 1.5 * stepBytesOf(this.#of.sizeBytes) ? this.#saving : undefined;

  /** Before the commit: a finished disk has no checkpoint. */
  async end(): Promise<void> {
    this.#turnOff();
    await this.#saving;
    if (this.hasSaved || this.#hasMarked) await this.remove();
  }

  /** Nothing is written any more; what was stays. */
  async rest(): Promise<void> {
    this.#turnOff();
    await this.#saving;
  }

  async remove(): Promise<void> {
    await this.#saving;
    this.hasSaved = false;
    this.#hasMarked = false;
    await removeCheckpointFile(this.#place.path).catch((cause: unknown) => {
      // One that cannot be removed could later be taken for the new target's.
      this.#turnOff();
      this.#log.warn("Removing a checkpoint failed", { path: this.#place.path, error: cause });
    });
  }

  async #read(): Promise<Checkpoint | string | undefined> {
    const bytes = await readCheckpointFile(this.#place.path);
    return bytes && readCheckpoint(bytes);
  }

  #mismatch(found: Checkpoint): string | undefined {
    if (!this.#of) return "the source cannot prove that it is the same";
    const field = differenceOf(found, this.#of);
    return field && `its ${field} is another`;
  }

  /** Trouble here is none of the import's: it goes on without. */
  async #save({ point: { inputBytes, outputBytes, state }, state: stateOf }: Reached): Promise<void> {
    const pouring = this.#pouring;
    // Before anything is waited for: the road goes on meanwhile.
    const pass = stateOf?.();
    if (!pouring || !this.#of || (stateOf && !pass)) return;
    try {
      const digest = this.#digest?.at(inputBytes);
      const tables = this.#tables;
      const sink = await this.#sink.mark?.();
      if (!sink) return this.#turnOff();
      const { layer, ...rest } = pouring;
      const bytes = writeCheckpoint(
        {
          ...this.#of,
          ...rest,
          ...(layer ? { layer } : {}),
          inputBytes,
          outputBytes,
          ...(state === undefined ? {} : { decoderState: state }),
          ...(digest ? { digest } : {}),
          ...(tables === undefined ? {} : { tables }),
          sink,
        },
        pass,
      );
      await writeCheckpointFile(this.#place.path, bytes);
      this.hasSaved = true;
      this.#savedTo = inputBytes;
    } catch (cause) {
      this.#turnOff();
      this.#log.warn("Writing a checkpoint failed; the import goes on without", { error: cause });
    }
  }
}
