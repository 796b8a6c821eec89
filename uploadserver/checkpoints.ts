// Makes what a resumable upload has brought so far safe: at the end of each request, and every so many bytes in between.
// Only bytes that lie on the disk as they were sent can be taken up again; for all others the record says 0.
import type { Sink } from "../src/datapath/index.ts";
import type { Log } from "../src/lib/log.ts";
import type { RecordPlace, UploadRecord } from "./upload-record.ts";

/** A killed server loses no more than this, unless the disk is that slow. */
const everyBytes = 64 * 1024 * 1024;

export interface Checkpoints {
  /** The same sink, seen by the checkpoints. */
  readonly watch: (sink: Sink) => Sink;
  /** Resolves when the first `bytes` are safe, or it is clear that they will not be. Never rejects. */
  reach(bytes: number): Promise<void>;
  /** The disk, as far as it came, and the record outlive this process. */
  park(): void;
}

export interface CheckpointSettings {
  readonly record: Omit<UploadRecord, "durableBytes">;
  readonly place: RecordPlace;
  /** Whether the bytes lie on the disk as they are sent. Asked with the first write. */
  readonly isAsSent: () => boolean;
  /** Safe already, from an earlier server. */
  readonly durableBytes: number;
  readonly log: Log;
}

export function makeCheckpoints({ record, place, isAsSent, log, ...from }: CheckpointSettings): Checkpoints {
  let durable = from.durableBytes;
  let written = 0;
  let sink: Sink | undefined;
  let isOver = false;
  let isParked = false;
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    const all = waiting;
    waiting = [];
    for (const act of all) act();
  };

  let saving: Promise<void> = Promise.resolve();
  const save = (): Promise<void> => {
    const turn = saving.then(saveNow);
    saving = turn.catch(() => undefined); // told to whoever asked for it
    return turn;
  };
  async function saveNow(): Promise<void> {
    if (!sink?.sync || isOver || written <= durable || !isAsSent()) return;
    const reached = written;
    await sink.sync();
    try {
      await place.write({ ...record, durableBytes: reached });
      durable = reached;
    } catch (cause) {
      log.warn("The upload cannot be taken up again after a kill: its record was not written", { error: cause });
    }
  }

  async function end(act: () => Promise<void>): Promise<void> {
    isOver = true;
    wake();
    await act();
  }

  return {
    watch(given) {
      sink = given;
      return {
        kind: given.kind,
        path: given.path,
        availableBytes: given.availableBytes,
        ...(given.emptyBytes === undefined ? {} : { emptyBytes: given.emptyBytes }),
        get writtenBytes() {
          return given.writtenBytes ?? 0;
        },
        begin: (bytes) => given.begin(bytes),
        async write(offset, bytes) {
          await given.write(offset, bytes);
          written = Math.max(written, offset + bytes.length);
          if (written - durable >= everyBytes) await save();
          wake();
        },
        zero: (offset, length) => given.zero(offset, length),
        lend: (bytes) => given.lend(bytes),
        async commit() {
          // A finished disk must not be taken for one that goes on.
          await end(() => place.remove());
          return await given.commit();
        },
        async discard() {
          await end(async () => {
            if (isParked) return;
            await place.remove().catch((cause: unknown) => log.warn("The upload's record stays", { error: cause }));
          });
          if (!isParked) await given.discard();
        },
      };
    },
    async reach(bytes) {
      if (!isAsSent()) return;
      while (!isOver && written < bytes) await new Promise<void>((resolve) => waiting.push(resolve));
      await save().catch((cause: unknown) => log.warn("Syncing the upload failed", { error: cause }));
    },
    park: () => (isParked = true),
  };
}
