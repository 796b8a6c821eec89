// The store: every row in memory, each write on disk before it is acknowledged. Writes that meet share one disk batch.
import { freezeDeep } from "./freeze.ts";
import { openHistory } from "./history.ts";
import { orderKeys } from "./ordered-keys.ts";
import { StaleRevision } from "./types.ts";
import type { Change, Row, Store, StoredValue } from "./types.ts";
import type { Disk } from "./disk.ts";

/**
 * Added to the counter when a disk is opened. A reader may have seen a revision whose write was lost with the process; after
 * the leap no such number is given twice.
 */
const reopenLeap = 1000;

interface Waiting {
  change: Change;
  resolve: () => void;
  reject: (cause: unknown) => void;
}

export async function createStore(disk: Disk | undefined): Promise<Store> {
  const loaded = await disk?.load();
  const rows = new Map<string, Row>();
  for (const { key, revision, text } of loaded?.rows ?? []) {
    rows.set(key, { key, revision, text, value: freezeDeep(JSON.parse(text) as StoredValue) });
  }
  const keys = orderKeys(rows.keys());
  let revision = loaded && loaded.revision > 0 ? loaded.revision + reopenLeap : 0;
  const history = openHistory(revision);
  const followers = new Set<(change: Change) => void>();
  let queue: Waiting[] = [];
  let flushing: Promise<void> | undefined;
  let broken: unknown;
  let closed = false;

  let told = revision;
  const publish = (change: Change): void => {
    told = change.revision;
    history.add(change);
    for (const follower of followers) follower(change);
  };

  const flush = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      try {
        const top = batch.at(-1)?.change.revision ?? revision;
        await disk?.write(
          top,
          batch.map(({ change }) => ({
            key: change.key,
            revision: change.revision,
            ...(change.now ? { text: change.now.text } : {}),
          })),
        );
      } catch (cause) {
        // Memory is now ahead of the disk: refuse all further writes rather than acknowledge on a broken base.
        broken = cause;
        for (const waiting of [...batch, ...queue]) waiting.reject(cause);
        queue = [];
        break;
      }
      for (const { change, resolve } of batch) {
        publish(change);
        resolve();
      }
    }
    // In the same turn as the last look at the queue: a write that came later would wait for ever.
    flushing = undefined;
  };

  const commit = (change: Change): Promise<void> => {
    if (change.now) {
      rows.set(change.key, change.now);
      keys.add(change.key);
    } else {
      rows.delete(change.key);
      keys.delete(change.key);
    }
    return new Promise((resolve, reject) => {
      queue.push({ change, resolve, reject });
      // A turn later, so that writes of one turn share a batch.
      flushing ??= Promise.resolve().then(flush);
    });
  };

  const expect = (key: string, ifRevision: number | undefined): Row | undefined => {
    if (closed) throw new Error("the store is closed");
    if (broken !== undefined) throw new Error("the store's disk failed", { cause: broken });
    const before = rows.get(key);
    if (ifRevision !== undefined && (before?.revision ?? 0) !== ifRevision) throw new StaleRevision(key);
    return before;
  };

  return {
    get revision() {
      return revision;
    },
    get toldRevision() {
      return told;
    },
    get: (key) => rows.get(key),
    list: (prefix) => keys.startingWith(prefix).flatMap((key) => rows.get(key) ?? []),
    async put(key, make, { ifRevision } = {}) {
      const before = expect(key, ifRevision);
      const value = freezeDeep(make(revision + 1));
      const now: Row = { key, revision: revision + 1, value, text: JSON.stringify(value) };
      revision += 1;
      await commit({ revision, key, now, ...(before ? { before } : {}) });
      return now;
    },
    async remove(key, { ifRevision } = {}) {
      const before = expect(key, ifRevision);
      if (!before) return undefined;
      revision += 1;
      const change: Change = { revision, key, before };
      await commit(change);
      return change;
    },
    since: (from) => history.since(from),
    follow(listener) {
      followers.add(listener);
      return () => followers.delete(listener);
    },
    async close() {
      if (closed) return;
      closed = true;
      // Whoever waits for a failed write was told by its own promise.
      await flushing;
      await disk?.close();
    },
  };
}
