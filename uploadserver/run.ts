// The upload server: settings in, one upload into one volume, one ending out. It owns no process state, so that a test can run
// it in its own process.
import { EnvError } from "../src/contract/env.ts";
import type { Ending } from "../src/contract/termination-log.ts";
import { systemClock } from "../src/lib/clock.ts";
import { seconds } from "../src/lib/duration.ts";
import { Fault, faultOf } from "../src/lib/faults.ts";
import type { Log } from "../src/lib/log.ts";
import { Cancelled } from "../src/lib/run-program.ts";
import { listenTls } from "../src/lib/tls-listener.ts";
import { deadlineReached } from "./deadline.ts";
import { Gate } from "./gate.ts";
import { handle, type ServerWorld } from "./handle.ts";
import { serveHealth } from "./health.ts";
import { endingOf, type End } from "./outcome.ts";
import { makeReceiver } from "./receive.ts";
import { readSettings, type Environment, type Settings } from "./settings.ts";
import { serverTls } from "./tls.ts";
import { makeTus } from "./tus.ts";

export interface UploadServerSurroundings {
  readonly env: Environment;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Requests under way when the upload is done may be answered (with 409) for so long. */
const partingMs = seconds(2);

/** Serves until an upload is done, the deadline has passed or it is told to stop. A failure is an ending too. */
export async function runUploadServer({ env, log, signal }: UploadServerSurroundings): Promise<Ending> {
  let settings: Settings;
  try {
    settings = readSettings(env);
  } catch (cause) {
    if (!(cause instanceof EnvError)) throw cause;
    const fault = new Fault("ConfigInvalid", cause.message, { cause });
    log.error("Refusing to start", { error: fault });
    return endingOf({ kind: "failed", fault }, "current");
  }
  try {
    return endingOf(await serve(settings, log, signal), settings.listener);
  } catch (cause) {
    const stopped: unknown = signal.aborted ? signal.reason : undefined;
    const fault = stopped instanceof Cancelled ? new Fault("Unclassified", stopped.message, { cause }) : faultOf(cause);
    log.error("The upload server ends", { error: fault });
    return endingOf({ kind: "failed", fault }, settings.listener);
  }
}

async function serve(settings: Settings, log: Log, signal: AbortSignal): Promise<End> {
  const stop = new AbortController();
  const stopped = AbortSignal.any([signal, stop.signal]);
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<End>();
  const gate = new Gate();
  const world: ServerWorld = { settings, gate, log, end, receiver: makeReceiver(settings, log, stopped) };
  const tus = makeTus(world);
  await tus.restore();
  // Before the data path hears of it: what can be taken up again is to stay.
  const onAbort = (): void => {
    tus.park();
    fail(signal.reason as Error);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const { listenAddress: host, listenPort: port, healthPort, listener: by, deadlineMs } = settings;
  const listener = await listenTls({
    host,
    port,
    tls: await serverTls(settings),
    asksForCertificates: true,
    requiresCertificates: by === "v1.56",
    serve(request, response) {
      handle(world, request, response, (...both) => tus.handle(...both)).catch((cause: unknown) => {
        log.error("A request could not be answered", { error: cause });
        response.destroy();
      });
    },
  });
  try {
    const endHealth = healthPort === undefined ? undefined : await serveHealth(host, healthPort);
    log.info("Serving uploads", { host, port: listener.port, deadlineMs });
    if (deadlineMs !== undefined) {
      deadlineReached(deadlineMs, gate, systemClock, stopped).then(() => end({ kind: "deadline" }), fail);
    }
    try {
      const how = await ended;
      await listener.drain(partingMs);
      return how;
    } finally {
      await endHealth?.();
    }
  } finally {
    tus.park();
    stop.abort(new Error("the upload server ends"));
    await listener.close();
    await world.receiver.idle();
  }
}
