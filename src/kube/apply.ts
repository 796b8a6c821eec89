// Performs a plan's steps, in order: the one place that writes to the cluster on behalf of reconcilers. It logs before each
// act, counts, turns tellings into Events, and carries an object's new version from one step to the next.
import { keyOf, shownKey, type KubeObject } from "../api/meta.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { KubeClient } from "./client.ts";
import { createEventRepeats } from "./event-repeats.ts";
import { eventName, tell } from "./events.ts";
import { isAlreadyExists, isNotFound, isRefusal, KubeError, type KeyedRef, type Step } from "./types.ts";

/** A step the API server refused for good reason (quota, policy, ...); conflicts are thrown as they are. */
export class StepRefused extends Error {
  readonly step: Step;
  readonly refusal: KubeError;
  constructor(step: Step, refusal: KubeError) {
    super(`${shownStep(step)}: ${refusal.message}`, { cause: refusal });
    this.name = "StepRefused";
    this.step = step;
    this.refusal = refusal;
  }
}

export interface Apply {
  /**
   * @returns what the server answered to each step, undefined for deletes, tellings and objects already there or gone
   * @throws KubeError for a conflict (the caller saw an old object), StepRefused for other refusals
   */
  run(steps: readonly Step[], log: Log): Promise<(KubeObject | undefined)[]>;
  /** Resolves when everything told so far is written or dropped. */
  settled(): Promise<void>;
  /** Writes so far, by "create pods", "patch datavolumes", "tell ImportSucceeded", ... */
  readonly counts: ReadonlyMap<string, number>;
}

/** Events that wait to be written while the server is slow or away; more are dropped. */
const mostWaiting = 1000;

export function createApply(options: { client: KubeClient; clock: Clock; component: string }): Apply {
  const { client, clock, component } = options;
  const counts = new Map<string, number>();
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);

  async function create(step: Step & { do: "create" }): Promise<KubeObject | undefined> {
    return client.create(step.object, step.kind).catch((cause: unknown) => {
      if (isAlreadyExists(cause)) return undefined;
      throw cause;
    });
  }

  async function patch(step: Step & { do: "patch" }, versions: Map<string, string>): Promise<KubeObject | undefined> {
    const id = `${step.ref.kind.plural} ${shownKey(step.ref)}`;
    const resourceVersion = step.resourceVersion === undefined ? undefined : (versions.get(id) ?? step.resourceVersion);
    const written = await client
      .patch(step.ref, resourceVersion === undefined ? step.body : withVersion(step.body, resourceVersion), {
        type: "merge",
        ...(step.subresource ? { subresource: step.subresource } : {}),
      })
      .catch((cause: unknown) => {
        if (isNotFound(cause)) return undefined; // gone: its deletion brings the next run
        throw cause;
      });
    // Our own write moved the version; a later step on the same object still rests on what we saw.
    const next = written?.metadata.resourceVersion;
    if (next !== undefined) versions.set(id, next);
    return written;
  }

  async function perform(step: Step, versions: Map<string, string>, log: Log): Promise<KubeObject | undefined> {
    switch (step.do) {
      case "create":
        return create(step);
      case "patch":
        return patch(step, versions);
      case "delete":
        await client.delete(step.ref, { uid: step.uid }).catch((cause: unknown) => {
          // Another object bears the name by now: ours is gone, which is what was wanted.
          if (!(cause instanceof KubeError && cause.status === 409)) throw cause;
        });
        return undefined;
      case "tell":
        tellLater(step, log);
        return undefined;
    }
  }

  // Events are told behind the work, one after the other: nobody's next step waits for one, and one that cannot be written
  // must not stop the work it tells of.
  let tellings = Promise.resolve();
  let waiting = 0;
  const repeats = createEventRepeats(() => clock.now());
  function tellLater(step: Step & { do: "tell" }, log: Log): void {
    if (waiting >= mostWaiting) {
      log.warn("Dropping an event: too many wait", { reason: step.reason });
      return;
    }
    const times = repeats.due(eventName(step));
    if (times === 0) return;
    waiting += 1;
    tellings = tellings
      .then(() => tell(client, clock, component, step, times))
      .catch((cause: unknown) => log.warn("Dropping an event", { reason: step.reason, cause: String(cause) }))
      .finally(() => (waiting -= 1));
  }

  return {
    counts,
    settled: () => tellings,
    async run(steps, log) {
      const versions = new Map<string, string>();
      const written: (KubeObject | undefined)[] = [];
      for (const step of steps) {
        const [message, facts] = lineOf(step);
        if (step.do === "patch") log.debug(message, facts);
        else log.info(message, facts);
        count(countedAs(step));
        try {
          written.push(await perform(step, versions, log));
        } catch (cause) {
          throw isRefusal(cause) ? new StepRefused(step, cause) : cause;
        }
      }
      return written;
    },
  };
}

function withVersion(body: object, resourceVersion: string): object {
  const metadata = "metadata" in body && typeof body.metadata === "object" ? body.metadata : {};
  return { ...body, metadata: { ...metadata, resourceVersion } };
}

/** A Secret's bytes are nobody's business but its readers'. */
const shownBody = (step: Step & { do: "patch" }): unknown =>
  step.ref.kind.kind === "Secret" ? Object.keys(step.body) : step.body;

const shownRef = (ref: KeyedRef): string => `${ref.kind.kind} ${shownKey(ref)}`;

/** A step in a few words, for messages and tests: "create Pod ns/name". */
export function shownStep(step: Step): string {
  switch (step.do) {
    case "create":
      return `create ${step.kind.kind} ${shownKey(keyOf(step.object))}`;
    case "patch":
      return `patch ${shownRef(step.ref)}${step.subresource ? ` ${step.subresource}` : ""}`;
    case "delete":
      return `delete ${shownRef(step.ref)}`;
    case "tell":
      return `tell ${step.type} ${step.reason}`;
  }
}

function lineOf(step: Step): [string, Record<string, unknown>] {
  switch (step.do) {
    case "create":
      return [`Creating ${step.kind.kind}`, { object: shownKey(keyOf(step.object)) }];
    case "patch":
      return [`Patching ${step.ref.kind.kind}`, { object: shownKey(step.ref), body: shownBody(step) }];
    case "delete":
      return [`Deleting ${step.ref.kind.kind}`, { object: shownKey(step.ref), uid: step.uid }];
    case "tell":
      return [
        "Telling",
        { object: shownKey(keyOf(step.about)), type: step.type, reason: step.reason, text: step.message },
      ];
  }
}

function countedAs(step: Step): string {
  if (step.do === "tell") return `tell ${step.reason}`;
  return `${step.do} ${step.do === "create" ? step.kind.plural : step.ref.kind.plural}`;
}
