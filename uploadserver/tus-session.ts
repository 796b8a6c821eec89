// One resumable upload: a data path that stays open between requests, each of which brings the next bytes.
import type { IncomingMessage } from "node:http";
import type { CheckpointPlace } from "../src/datapath/index.ts";
import { faultOf, type Fault } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import type { Outcome, Receiver, Reception } from "./receive.ts";
import type { RecordPlace, UploadRecord } from "./upload-record.ts";

export type Ended =
  { readonly kind: "ended"; readonly outcome: Outcome } | { readonly kind: "failed"; readonly fault: Fault };

export interface Session {
  readonly id: string;
  readonly sizeBytes: number;
  /** Bytes taken, from an earlier server too. Known once it is ready. */
  readonly offset: number;
  /** Resolves when it is known what of an earlier server's bytes is safe, or the upload has ended. */
  readonly ready: Promise<unknown>;
  readonly isTaking: boolean;
  /** An earlier server had all the bytes: this one ends without another request. */
  readonly wasComplete: boolean;
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

type Keeper = Parameters<NonNullable<CheckpointPlace["onBegin"]>>[0];

export interface SessionSettings {
  readonly record: UploadRecord;
  /** Where the record lies, and how far the upload is; undefined where neither can be kept. */
  readonly kept: { readonly record: RecordPlace; readonly checkpointPath: string } | undefined;
  /** An earlier server had begun it. */
  readonly isRestored: boolean;
  readonly receiver: Receiver;
  readonly log: Log;
}

export function makeSession({ record, kept, isRestored, receiver, log }: SessionSettings): Session {
  const { id, sizeBytes, fileName } = record;
  let reception: Reception | undefined;
  let taking: { request: IncomingMessage; over: Promise<void> } | undefined;
  let isParked = false;
  let begunAt = 0;
  const { promise: ended, resolve: tell } = Promise.withResolvers<Ended>();
  const { promise: keeping, resolve: keep } = Promise.withResolvers<Keeper>();
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const offset = (): number => begunAt + (reception?.body.takenBytes ?? 0);

  function begin(): Reception {
    const made = receiver.begin({ fileName, sizeBytes, ...(kept ? { resumable: resumableIn(kept) } : {}) });
    made.ended.then(
      (outcome) => tell({ kind: "ended", outcome }),
      (cause: unknown) => tell({ kind: "failed", fault: faultOf(cause) }),
    );
    void ended.then(() => (isParked ? undefined : removeRecord()));
    return made;
  }

  const resumableIn = ({ record: place, checkpointPath }: NonNullable<SessionSettings["kept"]>) => ({
    checkpoint: {
      path: checkpointPath,
      owner: id,
      outlives: () => isParked,
      onBegin: keep,
    } satisfies CheckpointPlace,
    onOpen(at: number) {
      begunAt = at;
      // The earlier server had all of it, and no request brings more.
      if (at === sizeBytes) reception?.body.finish();
      open();
    },
    // A finished disk must not be taken for one that goes on.
    beforeCommit: () => place.remove(),
  });

  const removeRecord = async (): Promise<void> =>
    await kept?.record.remove().catch((cause: unknown) => log.warn("The upload's record stays", { error: cause }));

  async function takeNow(request: IncomingMessage): Promise<void> {
    reception ??= begin();
    const { body } = reception;
    try {
      await body.takeFrom(request, sizeBytes - offset());
    } catch (cause) {
      log.info("A request of a resumable upload broke off", { offset: offset(), error: cause });
    }
    if (offset() === sizeBytes) body.finish();
    else if (kept) await Promise.race([keeping.then((keeper) => keeper.settle(offset())), ended]);
  }

  if (isRestored) reception = begin();
  return {
    id,
    sizeBytes,
    get offset() {
      return offset();
    },
    ready: isRestored ? Promise.race([opened, ended]) : Promise.resolve(),
    get wasComplete() {
      return begunAt === sizeBytes;
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
      await removeRecord();
    },
    park() {
      isParked = true;
    },
  };
}
