// A copy of all objects of one kind, kept true by list and watch: pages in, follows changes, and lists again when the
// server no longer knows where we were. What vanished meanwhile is told as deleted.
import { backoffDelay } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { keyOf, shownKey, type Key, type KindRef, type KubeObject } from "../api/meta.ts";
import type { KubeClient } from "./client.ts";
import { askedWaitMs, KubeError, type WatchEvent } from "./types.ts";

/** Values under which an object is found; recomputed whenever it changes. */
export type IndexOf = (object: KubeObject) => readonly string[];

export interface CacheOptions {
  client: KubeClient;
  kind: KindRef;
  clock: Clock;
  log: Log;
  /** All namespaces when absent. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  indexes?: Readonly<Record<string, IndexOf>>;
  /** Drops what nobody reads before an object is kept. managedFields always go. */
  trim?: (object: KubeObject) => KubeObject;
}

/** What an object was and is: `before` absent when new, `after` absent when gone. */
export interface Change {
  before?: KubeObject;
  after?: KubeObject;
}

export interface Cache {
  readonly kind: KindRef;
  get(key: Key): KubeObject | undefined;
  list(): KubeObject[];
  /** Objects found under `value`; empty for an unknown value. @throws Error for an index never declared */
  byIndex(index: string, value: string): KubeObject[];
  /** Resolves when the first list is in. Rejects with the signal's reason when that aborts. */
  synced(): Promise<void>;
  /** Called for every change, in order; also, at once, for each object already there. */
  onChange(handler: (change: Change) => void): void;
}

const pageSize = 500;
const reconnect = { baseMs: 100, capMs: 30_000 };

/** Starts listing and watching at once; ends with the signal. */
export function startCache(options: CacheOptions, signal: AbortSignal): Cache & { stopped: Promise<void> } {
  const { kind } = options;
  const objects = new Map<string, KubeObject>();
  const indexes = new Map<string, Map<string, Map<string, KubeObject>>>();
  for (const name of Object.keys(options.indexes ?? {})) indexes.set(name, new Map());
  const handlers: ((change: Change) => void)[] = [];
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined); // nobody may be waiting when the signal aborts
  signal.addEventListener("abort", () => first.reject(signal.reason), { once: true });

  function reindex(id: string, before: KubeObject | undefined, after: KubeObject | undefined): void {
    for (const [name, values] of indexes) {
      const valuesOf = options.indexes?.[name] ?? (() => []);
      if (before) {
        for (const value of valuesOf(before)) {
          const bucket = values.get(value);
          bucket?.delete(id);
          if (bucket?.size === 0) values.delete(value);
        }
      }
      if (!after) continue;
      for (const value of valuesOf(after)) {
        const bucket = values.get(value) ?? new Map<string, KubeObject>();
        values.set(value, bucket.set(id, after));
      }
    }
  }

  function put(id: string, after: KubeObject | undefined): void {
    const before = objects.get(id);
    if (
      before?.metadata.resourceVersion !== undefined &&
      before.metadata.resourceVersion === after?.metadata.resourceVersion
    )
      return;
    if (!before && !after) return;
    if (after) objects.set(id, after);
    else objects.delete(id);
    reindex(id, before, after);
    const change: Change = { ...(before ? { before } : {}), ...(after ? { after } : {}) };
    for (const handler of handlers) handler(change);
  }

  function kept(object: KubeObject): KubeObject {
    const { managedFields: _, ...metadata } = object.metadata;
    const slim = { ...object, metadata };
    return options.trim ? options.trim(slim) : slim;
  }

  const stopped = follow({
    ...options,
    signal,
    replace(list) {
      const seen = new Map(list.map((object) => [shownKey(keyOf(object)), object]));
      for (const id of objects.keys()) if (!seen.has(id)) put(id, undefined);
      for (const [id, object] of seen) put(id, kept(object));
      first.resolve();
    },
    change(event) {
      put(shownKey(keyOf(event.object)), event.type === "DELETED" ? undefined : kept(event.object));
    },
  });

  return {
    kind,
    get: (key) => objects.get(shownKey(key)),
    list: () => [...objects.values()],
    byIndex(index, value) {
      const values = indexes.get(index);
      if (!values) throw new Error(`no index ${index} on ${kind.plural}`);
      return [...(values.get(value)?.values() ?? [])];
    },
    synced: () => first.promise,
    onChange(handler) {
      handlers.push(handler);
      for (const after of objects.values()) handler({ after });
    },
    stopped,
  };
}

interface Following extends CacheOptions {
  signal: AbortSignal;
  replace(list: KubeObject[]): void;
  change(event: WatchEvent): void;
}

/** Lists, then watches, for ever: after an ordinary end from where it was, after "too old" (410) by listing again. */
async function follow(options: Following): Promise<void> {
  const { kind, clock, signal } = options;
  const log = options.log.with({ kind: kind.plural });
  let version: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = clock.now();
    let askedMs = 0;
    try {
      version ??= await listAll(options);
      for await (const event of watchFrom(options, version)) {
        failures = 0;
        const next: string | undefined = event.object.metadata.resourceVersion ?? version;
        // Told again, or out of an old store: it would bring back what is gone.
        if (event.type !== "BOOKMARK" && next !== undefined && isNotAfter(next, version)) continue;
        version = next;
        if (event.type !== "BOOKMARK") options.change(event);
      }
      // A watch that ends at once, again and again, must not spin.
      failures = clock.now() - startedMs > reconnect.baseMs ? 0 : failures + 1;
    } catch (cause) {
      if (signal.aborted) return;
      failures += 1;
      askedMs = askedWaitMs(cause);
      if (!isResumable(cause)) version = undefined;
      log.warn("Reconnecting a watch", {
        failures,
        relist: version === undefined,
        cause: cause instanceof Error ? cause.message : String(cause),
      });
    }
    if (failures > 0) await pause(options, Math.max(askedMs, backoffDelay(failures, reconnect)));
  }
}

/** Statuses of a server that is busy or on its way up or down: it still knows where we were. */
const passingStatuses = [429, 502, 503];

/**
 * After a broken connection the watch is taken up where it was. Any other refusal (410, a version from before a restored backup)
 * or a stream that cannot be trusted to have told us all: list again.
 */
const isResumable = (cause: unknown): boolean =>
  cause instanceof KubeError ? passingStatuses.includes(cause.status) : !(cause instanceof SyntaxError);

/** Versions are numbers that grow within a kind; where one is not a number nothing can be said. */
function isNotAfter(version: string, known: string | undefined): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(known ?? "") && BigInt(version) <= BigInt(known ?? "");
}

const watchFrom = (options: Following, resourceVersion: string) =>
  options.client.watch(options.kind, { ...scopeOf(options), resourceVersion, signal: options.signal });

async function listAll(options: Following): Promise<string> {
  try {
    return await listBy(options, pageSize);
  } catch (cause) {
    // The pages took longer than the server keeps their snapshot: all at once, then.
    if (cause instanceof KubeError && cause.status === 410) return await listBy(options);
    throw cause;
  }
}

async function listBy(options: Following, limit?: number): Promise<string> {
  const { client, kind, signal } = options;
  const scope = scopeOf(options);
  const items: KubeObject[] = [];
  let next: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    const page = await client.list(kind, {
      ...scope,
      ...(limit === undefined ? {} : { limit }),
      ...(next === undefined ? {} : { continue: next }),
    });
    items.push(...page.items);
    next = page.continue;
    if (next !== undefined) continue;
    options.replace(items);
    return page.resourceVersion;
  }
}

const scopeOf = ({ namespace, labelSelector, fieldSelector }: CacheOptions) => ({
  ...(namespace === undefined ? {} : { namespace }),
  ...(labelSelector === undefined ? {} : { labelSelector }),
  ...(fieldSelector === undefined ? {} : { fieldSelector }),
});

async function pause({ clock, signal }: Following, ms: number): Promise<void> {
  await clock.sleep(ms, signal).catch((cause: unknown) => {
    if (!signal.aborted) throw cause;
  });
}
