// Leader election by a Lease: one process at a time does the work. The one that holds the lease renews it; when it cannot,
// it must stop before another may start.
import { kinds } from "../api/kinds.ts";
import type { KubeObject } from "../api/meta.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { KubeClient } from "./client.ts";
import { isAlreadyExists, isConflict } from "./types.ts";

export interface LeaseOptions {
  client: KubeClient;
  clock: Clock;
  log: Log;
  namespace: string;
  name: string;
  /** Unique among the candidates: the pod's name. */
  identity: string;
}

/** As client-go's defaults: another may take over this long after the last renewal, ms. */
const holdMs = 15_000;
const giveUpMs = 10_000;
const tryMs = 2_000;

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** What this candidate saw, and since when by its own clock: remote clocks are never compared with ours. */
export interface Seen {
  renewTime: string;
  sinceMs: number;
}

/** Pure: may `identity` take the lease now? */
export function mayTake(spec: LeaseSpec, seen: Seen | undefined, identity: string, nowMs: number): boolean {
  if (!spec.holderIdentity || spec.holderIdentity === identity) return true;
  const holdingMs = (spec.leaseDurationSeconds ?? holdMs / 1000) * 1000;
  return seen?.renewTime === spec.renewTime && nowMs - (seen?.sinceMs ?? nowMs) > holdingMs;
}

/**
 * Waits for the lease, then runs `lead` and keeps renewing. `lead`'s signal aborts when the lease is lost or `signal` aborts.
 * @throws Error when the lease was held and lost
 */
export async function leadWithLease(
  options: LeaseOptions,
  signal: AbortSignal,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, log } = options;
  const candidate = createCandidate(options);
  const tryToHold = (): Promise<boolean> =>
    candidate.tryOnce().catch((cause: unknown) => {
      log.warn("Retrying to hold the lease", { cause: String(cause) });
      return false;
    });
  while (!(await tryToHold())) await clock.sleep(tryMs, signal);
  log.info("Leading", { lease: options.name, identity: options.identity });
  const lost = new AbortController();
  const ended = new AbortController();
  const work = lead(AbortSignal.any([signal, lost.signal])).finally(() => ended.abort());
  work.catch(() => undefined); // told below, once the renewing has ended too
  await keepRenewing(tryToHold, clock, AbortSignal.any([signal, ended.signal]), () =>
    lost.abort(new Error("the lease was lost")),
  );
  await work;
  if (lost.signal.aborted) throw lost.signal.reason;
  await candidate.release().catch((cause: unknown) => {
    log.warn("Leaving the lease to run out", { cause: String(cause) });
  });
}

async function keepRenewing(
  tryToHold: () => Promise<boolean>,
  clock: Clock,
  until: AbortSignal,
  lose: () => void,
): Promise<void> {
  let renewedMs = clock.now();
  while (!until.aborted) {
    await sleepUntil(clock, tryMs, until);
    if (until.aborted) return;
    // A server that does not answer must not keep us leading past the time at which another may start.
    const leftMs = giveUpMs - (clock.now() - renewedMs);
    if (leftMs > 0 && (await within(clock, leftMs, until, tryToHold))) renewedMs = clock.now();
    else if (!until.aborted && clock.now() - renewedMs >= giveUpMs) return lose();
  }
}

/** @returns false when there was no answer in time */
async function within(clock: Clock, ms: number, until: AbortSignal, act: () => Promise<boolean>): Promise<boolean> {
  const answered = new AbortController();
  const late = sleepUntil(clock, ms, AbortSignal.any([until, answered.signal])).then(() => false);
  try {
    return await Promise.race([act(), late]);
  } finally {
    answered.abort();
  }
}

/** Ends early, and quietly, with the signal. */
async function sleepUntil(clock: Clock, ms: number, until: AbortSignal): Promise<void> {
  await clock.sleep(ms, until).catch((cause: unknown) => {
    if (!until.aborted) throw cause;
  });
}

function createCandidate({ client, clock, namespace, name, identity }: LeaseOptions) {
  const ref = { kind: kinds.lease, namespace, name };
  let seen: Seen | undefined;
  const microTime = () => new Date(clock.now()).toISOString().replace("Z", "000Z");

  async function write(lease: KubeObject | undefined, spec: LeaseSpec): Promise<boolean> {
    const object: KubeObject = lease
      ? { ...lease, spec }
      : { apiVersion: kinds.lease.apiVersion, kind: kinds.lease.kind, metadata: { name, namespace }, spec };
    try {
      await (lease ? client.update(object, kinds.lease) : client.create(object, kinds.lease));
      return true;
    } catch (cause) {
      if (isConflict(cause) || isAlreadyExists(cause)) return false;
      throw cause;
    }
  }

  return {
    /** Takes or renews the lease. @returns whether it is ours now */
    async tryOnce(): Promise<boolean> {
      const lease = await client.get(ref);
      const spec = (lease?.spec ?? {}) as LeaseSpec;
      if (spec.renewTime !== undefined && spec.renewTime !== seen?.renewTime)
        seen = { renewTime: spec.renewTime, sinceMs: clock.now() };
      if (!mayTake(spec, seen, identity, clock.now())) return false;
      const taken = spec.holderIdentity !== identity;
      const now = microTime();
      return write(lease, {
        holderIdentity: identity,
        leaseDurationSeconds: holdMs / 1000,
        acquireTime: taken ? now : (spec.acquireTime ?? now),
        renewTime: now,
        leaseTransitions: (spec.leaseTransitions ?? 0) + (taken && lease ? 1 : 0),
      });
    },
    /** Lets the next candidate start at once. */
    async release(): Promise<void> {
      const lease = await client.get(ref);
      const spec = (lease?.spec ?? {}) as LeaseSpec;
      if (lease && spec.holderIdentity === identity)
        await write(lease, { ...spec, holderIdentity: "", leaseDurationSeconds: 1 });
    },
  };
}
