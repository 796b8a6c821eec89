// Source blank: an empty disk as large as the volume takes (interfaces/importer.md section 7.5).
import type { Log } from "../lib/log.ts";
import { enterStage } from "./progress.ts";
import type { Progress, Sink, SinkResult } from "./types.ts";

export interface BlankJob {
  sink: Sink;
  progress: Progress;
  log: Log;
  signal: AbortSignal;
  preallocate: boolean;
}

/** The sink grows it at commit; a block device is emptied, for a blank disk reads as zeros. @throws Fault */
export async function importBlank({ sink, progress, log, signal, preallocate }: BlankJob): Promise<SinkResult> {
  try {
    log.info("Making a blank disk", { kind: sink.kind, availableBytes: sink.availableBytes, preallocate });
    enterStage(progress, "transferring", 0, 1);
    await sink.begin(0);
    signal.throwIfAborted();
    enterStage(progress, "finishing", 0, 1);
    return await sink.commit();
  } catch (cause) {
    await sink.discard();
    throw signal.aborted ? signal.reason : cause;
  }
}
