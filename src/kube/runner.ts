// Turns a controller (what it watches, how it reconciles one key) into running workers. Bounded concurrency; a write
// conflict ends a run quietly, any other trouble is logged and tried again, later each time.
import type { Key, KubeObject } from "../api/meta.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { StepRefused, type Apply } from "./apply.ts";
import type { Cache } from "./cache.ts";
import { askedWaitMs, isConflict, type Plan } from "./types.ts";
import { createWorkqueue } from "./workqueue.ts";

export interface Watched {
  cache: Cache;
  /** The keys to look at when this object appears, changes or goes. Called with what it was and with what it is. */
  toKeys(object: KubeObject): readonly Key[];
}

export interface Controller<P extends Plan = Plan> {
  readonly name: string;
  readonly watches: readonly Watched[];
  /** Looks at what is true now and says what to do. */
  reconcile(key: Key, log: Log): P | Promise<P>;
  /** What to do instead when the API server refused a step; without it a refusal is an error. */
  refused?(key: Key, refusal: StepRefused): Plan | undefined | Promise<Plan | undefined>;
  /** Called after the steps were performed, with the server's answers. */
  applied?(plan: P, written: readonly (KubeObject | undefined)[]): void;
}

export interface Running {
  /** Looks at this key soon, whatever the watches say. */
  enqueue(key: Key): void;
  /** Resolves when the last run has ended. */
  close(): Promise<void>;
}

export interface RunnerOptions {
  apply: Apply;
  clock: Clock;
  log: Log;
  /** Runs at once, of different keys. */
  workers: number;
}

/** Workers start at once; hand in caches that are synced, or first runs see a world half empty. */
export function runController<P extends Plan>(controller: Controller<P>, options: RunnerOptions): Running {
  const { apply, clock } = options;
  const log = options.log.with({ controller: controller.name });
  const queue = createWorkqueue(clock);
  for (const watched of controller.watches) {
    watched.cache.onChange(({ before, after }) => {
      for (const object of [before, after]) {
        if (object) for (const key of watched.toKeys(object)) queue.add(encode(key));
      }
    });
  }

  async function reconcile(id: string): Promise<void> {
    const key = decode(id);
    const keyLog = log.with({ key: id });
    try {
      const plan = await controller.reconcile(key, keyLog);
      const written = await performed(key, plan, keyLog);
      if (written) controller.applied?.(plan, written);
      queue.forget(id);
      if (plan.lookAgainInMs !== undefined) queue.addAfter(id, plan.lookAgainInMs);
    } catch (cause) {
      const retryInMs = queue.addBackedOff(id, askedWaitMs(cause));
      if (isConflict(cause)) keyLog.debug("Retrying after a conflict", { retryInMs });
      else keyLog.error("Retrying after an error", { retryInMs, cause: shownCause(cause) });
    }
  }

  async function performed(key: Key, plan: P, keyLog: Log): Promise<(KubeObject | undefined)[] | undefined> {
    try {
      return await apply.run(plan.steps, keyLog);
    } catch (cause) {
      const instead = cause instanceof StepRefused ? await controller.refused?.(key, cause) : undefined;
      if (!instead) throw cause;
      keyLog.warn("Meeting a refusal", { cause: shownCause(cause) });
      await apply.run(instead.steps, keyLog);
      if (instead.lookAgainInMs !== undefined) queue.addAfter(encode(key), instead.lookAgainInMs);
      return undefined;
    }
  }

  async function work(): Promise<void> {
    for (let id = await queue.take(); id !== undefined; id = await queue.take()) {
      await reconcile(id);
      queue.done(id);
    }
  }

  const workers = Array.from({ length: options.workers }, () => work());
  return {
    enqueue: (key) => queue.add(encode(key)),
    async close() {
      queue.close();
      await Promise.all(workers);
    },
  };
}

const encode = (key: Key): string => `${key.namespace ?? ""}/${key.name}`;
function decode(id: string): Key {
  const at = id.indexOf("/");
  const namespace = id.slice(0, at);
  return { name: id.slice(at + 1), ...(namespace === "" ? {} : { namespace }) };
}

const shownCause = (cause: unknown): string =>
  cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
