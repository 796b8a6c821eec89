// One resumable upload: a data path that stays open between requests, each of which brings the next bytes.
import { createReadStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Fault, faultOf } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import type { UploadBody } from "./body.ts";
import { makeCheckpoints, type Checkpoints } from "./checkpoints.ts";
import type { Outcome, Receiver, Reception } from "./receive.ts";
import type { RecordPlace, UploadRecord } from "./upload-record.ts";

export type Ended =
  { readonly kind: "ended"; readonly outcome: Outcome } | { readonly kind: "failed"; readonly fault: Fault };

export interface Session {
  readonly id: string;
  readonly sizeBytes: number;
  /** Bytes taken, from an earlier server too. */
  readonly offset: number;
  readonly isTaking: boolean;
  /** The data path wants no more bytes: `ended` is about to say why. */
  readonly isEnding: boolean;
  /** How the data path ended, once it has. */
  readonly ended: Promise<Ended>;
  /** Takes a request's bytes; the last ones end the data path. Never rejects: a client that breaks off is none of its trouble. */
  take(request: IncomingMessage): Promise<void>;
  /** A request under way is given up; resolves when what it brought is counted. */
  interrupt(): Promise<void>;
  /** Gives up, and waits until the target is free. */
  abandon(reason: Error): Promise<void>;
  /** What came outlives this process. */
  park(): void;
}

export interface SessionSettings {
  readonly record: UploadRecord;
  readonly place: RecordPlace | undefined;
  /** Where an earlier server's unfinished disk lies. */
  readonly partPath: string;
  readonly receiver: Receiver;
  readonly log: Log;
}

export function makeSession({ record, place, partPath, receiver, log }: SessionSettings): Session {
  const { id, sizeBytes, fileName, durableBytes } = record;
  let reception: Reception | undefined;
  let taking: { request: IncomingMessage; over: Promise<void> } | undefined;
  const checkpoints: Checkpoints | undefined =
    place &&
    makeCheckpoints({
      record: { id, sizeBytes, fileName },
      place,
      durableBytes,
      isAsSent: () => durableBytes > 0 || (reception?.body.isPlainDisk ?? false),
      log,
    });
  const { promise: ended, resolve: tell } = Promise.withResolvers<Ended>();
  const offset = (): number => Math.max(durableBytes, reception?.body.takenBytes ?? 0);

  function begin(): Reception {
    const made = receiver.begin({
      fileName,
      sizeBytes,
      ...(checkpoints ? { watch: checkpoints.watch } : {}),
      ...(durableBytes > 0 ? { resumeBytes: durableBytes } : {}),
    });
    made.ended.then(
      (outcome) => tell({ kind: "ended", outcome }),
      (cause: unknown) => tell({ kind: "failed", fault: faultOf(cause) }),
    );
    return made;
  }

  /** The data path sees all bytes, those of an earlier server too: it reads them where they lie. */
  async function replay(body: UploadBody): Promise<void> {
    const part = createReadStream(partPath, { end: durableBytes - 1, highWaterMark: 1024 * 1024 });
    await body.takeFrom(part, durableBytes).catch((cause: unknown) => void body.destroy(faultOf(cause)));
    if (body.takenBytes < durableBytes) body.destroy(new Fault("TargetIo", `${partPath} is shorter than it was`));
  }

  async function takeNow(request: IncomingMessage): Promise<void> {
    const isFirst = reception === undefined;
    reception ??= begin();
    const { body } = reception;
    if (isFirst && durableBytes > 0) await replay(body);
    try {
      await body.takeFrom(request, sizeBytes - offset());
    } catch (cause) {
      log.info("A request of a resumable upload broke off", { offset: offset(), error: cause });
    }
    if (offset() === sizeBytes) body.finish();
    else await checkpoints?.reach(offset());
  }

  return {
    id,
    sizeBytes,
    get offset() {
      return offset();
    },
    get isTaking() {
      return taking !== undefined;
    },
    get isEnding() {
      return reception?.body.destroyed ?? false;
    },
    ended,
    async take(request) {
      const over = takeNow(request);
      taking = { request, over };
      await over;
      if (taking?.request === request) taking = undefined;
    },
    async interrupt() {
      const before = taking;
      before?.request.destroy();
      await before?.over;
    },
    async abandon(reason) {
      reception?.abort(reason);
      if (reception) await ended;
      else await place?.remove().catch((cause: unknown) => log.warn("The upload's record stays", { error: cause }));
    },
    park: () => checkpoints?.park(),
  };
}
