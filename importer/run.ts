// The importer program: settings in, one source into one volume, one ending out. It owns no process state, so that a test
// can run it in its own process.
import { existsSync } from "node:fs";
import { EnvError } from "../src/contract/env.ts";
import { metricsPort } from "../src/contract/paths.ts";
import type { Ending } from "../src/contract/termination-log.ts";
import {
  importArchive,
  importBlank,
  importImage,
  newProgress,
  type Progress,
  type Source,
  scratchCheckpointPath,
} from "../src/datapath/index.ts";
import { Fault, faultOf } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import { Cancelled } from "../src/lib/run-program.ts";
import { httpClient } from "../src/lib/http.ts";
import { systemClock, type Clock } from "../src/lib/clock.ts";
import { tellingFirstAnswer } from "./around-source.ts";
import { metricsEndpoint } from "./metrics-endpoint.ts";
import { askServer, servedSource, serverReady } from "./node-pull/index.ts";
import { endingOf, type End, type FailedAt } from "./outcome.ts";
import { readSettings, type Environment, type Settings } from "./settings.ts";
import { checkpointOf, checkTarget, isBlock, openTarget, openTreeTarget, scratchOf } from "./target.ts";
import { checkWork, isArchive, makeSource, wordOf } from "./work.ts";

export interface ImporterSurroundings {
  readonly env: Environment;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** What is waited by. Default the system's. */
  readonly clock?: Clock;
}

/** Runs one import. A failure is an ending too; throws only on a mistake of ours before the settings were read. */
export async function runImporter(surroundings: ImporterSurroundings): Promise<Ending> {
  const { env, log, signal, clock = systemClock } = surroundings;
  let settings: Settings;
  try {
    settings = readSettings(env);
    checkWork(settings.config);
    checkTarget(settings);
  } catch (cause) {
    if (!(cause instanceof EnvError) && !(cause instanceof Fault)) throw cause;
    const fault = cause instanceof Fault ? cause : new Fault("ConfigInvalid", cause.message, { cause });
    log.error("Refusing to start", { error: fault });
    return endingOf({ kind: "failed", fault, where: { during: "start" } }, "current");
  }
  return await runWith(settings, clock, log, signal);
}

async function runWith(settings: Settings, clock: Clock, log: Log, signal: AbortSignal): Promise<Ending> {
  const { config, listener } = settings;
  const isBlank = config.source === "none";
  const progress = newProgress();
  let isCommitted = false;
  const metrics = metricsEndpoint({
    of: { ownerUid: config.ownerUid, progress, listener, isCommitted: () => isCommitted, now: Date.now },
    host: settings.listenAddress,
    port: metricsPort,
    log,
  });
  try {
    const end = isBlank
      ? await runBlank(settings, progress, log, signal)
      : await runImport(settings, progress, metrics.start, clock, log, signal);
    isCommitted = end.kind === "done" || end.kind === "blank";
    return endingOf(end, listener);
  } catch (cause) {
    const stopped: unknown = signal.aborted ? signal.reason : undefined;
    const fault = stopped instanceof Cancelled ? new Fault("Unclassified", stopped.message, { cause }) : faultOf(cause);
    log.error("The import failed", { error: fault, stage: progress.stage, bytesRead: progress.bytesRead });
    const where: FailedAt = isBlank
      ? { during: "blank" }
      : {
          during: "import",
          source: wordOf(config),
          stage: progress.stage,
          bytesRead: progress.bytesRead,
          isArchive: isArchive(config),
        };
    return endingOf({ kind: "failed", fault, where }, listener);
  } finally {
    await metrics.stop();
  }
}

async function runImport(
  settings: Settings,
  progress: Progress,
  onAnswer: () => void,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<End> {
  const { config } = settings;
  const checkpoint = checkpointOf(settings);
  const scratch = scratchOf(settings);
  const leftovers = [checkpoint?.path, scratch && scratchCheckpointPath(scratch)];
  const goesOn = !isArchive(config) && checkpoint !== undefined && leftovers.some((path) => path && existsSync(path));
  const made = await (settings.readyFile === undefined
    ? makeSource(settings, log, goesOn)
    : makeServed(settings, settings.readyFile, goesOn, clock, log, signal));
  const source = tellingFirstAnswer(made, onAnswer);
  try {
    if (isArchive(config)) return await runArchive(settings, source, progress, log, signal);
    const sink = await openTarget(settings, log, signal);
    const outcome = await importImage({
      source,
      sink,
      progress,
      log,
      signal,
      preallocate: config.preallocation,
      ...(config.format === "raw" ? { format: "raw" } : {}),
      // Of an image the node pulled there is none: its digest was the node's to check.
      ...(config.checksum && settings.readyFile === undefined ? { checksum: config.checksum } : {}),
      ...(scratch ? { scratch } : {}),
      ...(checkpoint ? { checkpoint } : {}),
    });
    log.info("The import ended", { ...outcome });
    if (outcome.kind === "scratchNeeded") return outcome;
    return { kind: "done", preallocated: outcome.preallocated, labels: source.labels?.() ?? {} };
  } finally {
    await source.close();
  }
}

/** The disk of an image the node has pulled, once its server is there. */
async function makeServed(
  settings: Settings,
  path: string,
  goesOn: boolean,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<Source> {
  const { config, addresses } = settings;
  log.info("Waiting for the image server", { readyFile: config.readyFile });
  const ready = await serverReady({ path, shownPath: config.readyFile, clock, signal });
  const client = httpClient({ addresses });
  try {
    const served = await askServer(config.endpoint, ready, client, log, signal);
    const own = { ...settings, config: { ...config, endpoint: served.url } };
    return servedSource(await makeSource(own, log, goesOn), served);
  } finally {
    await client.close();
  }
}

async function runArchive(
  settings: Settings,
  source: Source,
  progress: Progress,
  log: Log,
  signal: AbortSignal,
): Promise<End> {
  const { checksum } = settings.config;
  const target = await openTreeTarget(settings, log, signal);
  const done = await importArchive({ source, target, progress, log, signal, ...(checksum ? { checksum } : {}) });
  log.info("The import ended", { ...done });
  // A tree is never preallocated: its files are as large as they are.
  return { kind: "done", preallocated: false };
}

async function runBlank(settings: Settings, progress: Progress, log: Log, signal: AbortSignal): Promise<End> {
  const { preallocation } = settings.config;
  const sink = await openTarget(settings, log, signal);
  const outcome = await importBlank({ sink, progress, log, signal, preallocate: preallocation });
  return { kind: "blank", preallocated: outcome.preallocated, silent: isBlock(settings) && !preallocation };
}
