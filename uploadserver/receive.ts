// One upload from its first byte to the commit: the data path of an import, fed by requests.
import { importArchive, importImage, newProgress } from "../src/datapath/index.ts";
import type { CheckpointPlace, Progress, Sink, Source } from "../src/datapath/index.ts";
import { Fault } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import { UploadBody } from "./body.ts";
import type { Settings } from "./settings.ts";
import { openTarget, openTreeTarget, scratchOf } from "./target.ts";

export interface UploadFacts {
  /** A name the client gave, "" for none: an ending such as .qcow2 must hold true. */
  readonly fileName: string;
  /** Absent where only the end of the body tells. */
  readonly sizeBytes?: number;
  /** A tar for the volume's root instead of a disk. */
  readonly isArchive?: boolean;
  readonly onReceived?: () => void;
  /** Of an upload that goes on after a kill. */
  readonly resumable?: {
    readonly checkpoint: CheckpointPlace;
    /** Told once where its bytes are to begin: behind those of an earlier server that are safe. */
    readonly onOpen: (offset: number) => void;
    /** Before the disk is finished. @throws what fails the upload */
    readonly beforeCommit: () => Promise<void>;
  };
}

export type Outcome = { readonly kind: "done"; readonly preallocated: boolean } | { readonly kind: "scratchNeeded" };

export interface Reception {
  readonly body: UploadBody;
  readonly progress: Progress;
  /** @throws Fault; the target then holds nothing that looks finished */
  readonly ended: Promise<Outcome>;
  /** Gives up. `ended` rejects with the reason. */
  readonly abort: (reason: Error) => void;
}

export interface Receiver {
  begin(facts: UploadFacts): Reception;
  /** Resolves when the last upload has let go of the target. Never rejects. */
  idle(): Promise<void>;
}

/** Uploads into one target, one after another: a new one waits until the one before has let go of it. */
export function makeReceiver(settings: Settings, log: Log, signal: AbortSignal): Receiver {
  let before: Promise<void> = Promise.resolve();
  let isStaged = false;

  async function receive(
    facts: UploadFacts,
    body: UploadBody,
    progress: Progress,
    stop: AbortSignal,
  ): Promise<Outcome> {
    if (facts.isArchive) {
      const target = await openTreeTarget(settings, log, stop);
      const source = bodySource(body, facts, () => undefined);
      const done = await importArchive({ source, target, progress, log, signal: stop });
      log.info("The upload ended", { ...done });
      // A tree is never preallocated: its files are as large as they are.
      return { kind: "done", preallocated: false };
    }
    const sink = finishing(await openTarget(settings, log, stop), facts.resumable?.beforeCommit);
    const scratch = scratchOf(settings);
    const outcome = await importImage({
      source: bodySource(body, facts, () => (isStaged = true)),
      sink,
      progress,
      log,
      signal: stop,
      preallocate: settings.config.preallocation,
      ...(isStaged ? { road: "staged" } : {}),
      ...(scratch ? { scratch } : {}),
      ...(facts.resumable ? { checkpoint: facts.resumable.checkpoint } : {}),
      ...(facts.onReceived ? { onReceived: facts.onReceived } : {}),
    });
    log.info("The upload ended", { ...outcome });
    return outcome.kind === "done" ? { kind: "done", preallocated: outcome.preallocated } : { kind: "scratchNeeded" };
  }

  return {
    idle: () => before,
    begin(facts) {
      const own = new AbortController();
      const body = new UploadBody();
      const progress = newProgress();
      const stop = AbortSignal.any([signal, own.signal]);
      const ended = before.then(() => receive(facts, body, progress, stop)).finally(() => void body.destroy());
      before = ended.then(() => undefined).catch((cause: unknown) => log.warn("The upload failed", { error: cause }));
      body.on("error", () => undefined); // the data path tells it
      // The data path waits for bytes that may never come.
      stop.addEventListener("abort", () => body.destroy(stop.reason as Error), { once: true });
      return { body, progress, ended, abort: (reason) => own.abort(reason) };
    },
  };
}

/** The same sink, with something to be done first when it commits. */
const finishing = (sink: Sink, act: (() => Promise<void>) | undefined): Sink =>
  act ? (Object.create(sink, { commit: { value: () => act().then(() => sink.commit()) } }) as Sink) : sink;

/** @param onSecondOpen its first bytes are wanted again, and gone */
function bodySource(body: UploadBody, facts: UploadFacts, onSecondOpen: () => void): Source {
  const { fileName, sizeBytes, resumable } = facts;
  let openedAt: number | undefined;
  return {
    name: "the upload",
    path: fileName,
    ...(resumable ? { identity: resumable.checkpoint.owner, isSentOn: true } : {}),
    facts: () => Promise.resolve({ ranges: false, ...(sizeBytes === undefined ? {} : { sizeBytes }) }),
    open(offset) {
      if (openedAt !== undefined) {
        const wasWhole = openedAt === 0;
        if (wasWhole) onSecondOpen();
        const why = wasWhole
          ? "this image cannot be converted on its way: send it again, and it is staged in scratch space"
          : "what an earlier server left of this image is of no use: send it again";
        return Promise.reject(new Fault("UploadBroken", why));
      }
      openedAt = offset;
      resumable?.onOpen(offset);
      return Promise.resolve(body);
    },
    close: () => Promise.resolve(),
  };
}
