// Bookmarks while writes are on their way to the disk: none promises what was not told yet. And a client that has gone already.
import type { ServerResponse } from "node:http";
import { expect, onTestFinished, test, vi } from "vitest";
import { kinds } from "../../../../src/api/kinds.ts";
import type { KubeObject } from "../../../../src/api/meta.ts";
import { builtinOf, openRegistry } from "../../../../src/embedded/server/registry.ts";
import { streamWatch } from "../../../../src/embedded/server/watch-stream.ts";
import type { World } from "../../../../src/embedded/server/world.ts";
import { createStore } from "../../../../src/embedded/store/store.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { silentLog } from "../../../../src/lib/log.ts";

test("a bookmark does not run ahead of a change that is still being written", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let finish = (): void => undefined;
  const store = await createStore({
    load: () => Promise.resolve({ revision: 0, rows: [] }),
    write: () => new Promise((resolve) => (finish = resolve)),
    close: () => Promise.resolve(),
  });
  const world = { store, registry: openRegistry(store, silentLog), clock: systemClock, log: silentLog, admission: [] };
  const lines: { type: string; object: KubeObject }[] = [];
  const response = {
    writableLength: 0,
    writeHead: () => undefined,
    flushHeaders: () => undefined,
    write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[number]),
    end: () => undefined,
    on: () => undefined,
  };
  const query = new URLSearchParams({
    watch: "true",
    allowWatchBookmarks: "true",
    timeoutSeconds: "3",
    resourceVersion: "0",
  });
  const stop = new AbortController();
  streamWatch(
    world as unknown as World,
    { resource: builtinOf(kinds.configMap), namespace: "default" },
    response as unknown as ServerResponse,
    { query, shape: { as: "object" }, signal: stop.signal },
  );
  const made = (revision: number) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", resourceVersion: String(revision) },
  });
  const writing = store.put("core/configmaps/default/a", made);
  await vi.advanceTimersByTimeAsync(1500);
  finish();
  await writing;
  stop.abort();
  const versions = lines.map(({ type, object }) => [type, Number(object.metadata.resourceVersion)]);
  expect(versions).toEqual([
    ["BOOKMARK", 0],
    ["ADDED", 1],
  ]);
});

test("nothing is watched for a client that went while it was asked who it is", async () => {
  const store = await createStore({
    load: () => Promise.resolve({ revision: 0, rows: [] }),
    write: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  const world = { store, registry: openRegistry(store, silentLog), clock: systemClock, log: silentLog, admission: [] };
  const follow = vi.spyOn(store, "follow");
  const write = vi.fn();
  const response = { destroyed: true, writeHead: write, flushHeaders: write, write, on: write, end: write };
  streamWatch(
    world as unknown as World,
    { resource: builtinOf(kinds.configMap), namespace: "default" },
    response as unknown as ServerResponse,
    { query: new URLSearchParams({ watch: "true" }), shape: { as: "object" }, signal: new AbortController().signal },
  );
  expect(follow).not.toHaveBeenCalled();
  expect(write).not.toHaveBeenCalled();
});
