// The cache against a scripted server: what it lists and watches is told in advance, what it asks is recorded.
import { expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/meta.ts";
import { startCache, type CacheOptions } from "../../../src/kube/cache.ts";
import { KubeError, type KubeClient, type KubeList, type WatchEvent } from "../../../src/kube/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { testClock } from "../../support/test-clock.ts";

const pod = (name: string, version: string, label = "x"): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    namespace: "default",
    name,
    uid: `uid-${name}`,
    resourceVersion: version,
    labels: { of: label },
    managedFields: [{}],
  },
});
const list = (resourceVersion: string, ...items: KubeObject[]): KubeList => ({ resourceVersion, items });
const event = (type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): WatchEvent => ({ type, object });

/** Each watch gives its events, then ends, fails, or waits for the signal. */
type Watch = { events: WatchEvent[]; ending: "end" | "wait" | Error };

function scripted(lists: (KubeList | Error)[], watches: Watch[]) {
  const asked: string[] = [];
  const unused = () => Promise.reject(new Error("not scripted"));
  const client: KubeClient = {
    list(_kind, options = {}) {
      asked.push(`list ${options.continue ?? ""}`.trim());
      const next = lists.shift();
      if (next instanceof Error) return Promise.reject(next);
      return next ? Promise.resolve(next) : unused();
    },
    async *watch(_kind, { resourceVersion, signal }) {
      asked.push(`watch ${resourceVersion}`);
      const next = watches.shift() ?? { events: [], ending: "wait" };
      yield* next.events;
      if (next.ending instanceof Error) throw next.ending;
      if (next.ending === "wait")
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
    get: unused,
    create: unused,
    update: unused,
    patch: unused,
    delete: unused,
  };
  return { client, asked };
}

async function started(lists: (KubeList | Error)[], watches: Watch[], more: Partial<CacheOptions> = {}) {
  const { client, asked } = scripted(lists, watches);
  const clock = testClock();
  const stop = new AbortController();
  const indexes = { label: (object: KubeObject) => [object.metadata.labels?.of ?? ""] };
  const cache = startCache({ client, kind: kinds.pod, clock, log: silentLog, indexes, ...more }, stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await cache.stopped;
    expect(clock.sleeping).toBe(0);
  });
  const changes: string[] = [];
  cache.onChange(({ before, after }) => {
    const what = before ? (after ? "changed" : "gone") : "new";
    changes.push(`${what} ${(after ?? before)?.metadata.name} ${(after ?? before)?.metadata.resourceVersion}`);
  });
  await cache.synced();
  const settle = async () => {
    for (let round = 0; round < 5; round += 1) await clock.advance(31_000);
  };
  return { cache, asked, changes, settle, clock };
}

const names = (objects: KubeObject[]) => objects.map((one) => one.metadata.name ?? "").toSorted();

test("pages are put together, and the watch goes on from the list", async () => {
  const { cache, asked, settle } = await started(
    [{ ...list("5", pod("a", "1")), continue: "next" }, list("6", pod("b", "2"))],
    [],
  );
  await settle();
  expect(names(cache.list())).toEqual(["a", "b"]);
  expect(asked).toEqual(["list", "list next", "watch 6"]);
  expect(cache.get({ namespace: "default", name: "a" })?.metadata).not.toHaveProperty("managedFields");
});

test("changes are followed, told once each, and found by index", async () => {
  const events = [
    event("ADDED", pod("b", "6")),
    event("MODIFIED", pod("a", "7", "y")),
    event("DELETED", pod("b", "8")),
    event("MODIFIED", pod("a", "7", "y")),
  ];
  const { cache, changes, settle } = await started([list("5", pod("a", "1"))], [{ events, ending: "wait" }]);
  await settle();
  expect(changes).toEqual(["new a 1", "new b 6", "changed a 7", "gone b 6"]);
  expect(names(cache.byIndex("label", "y"))).toEqual(["a"]);
  expect(cache.byIndex("label", "x")).toEqual([]);
  expect(() => cache.byIndex("unknown", "x")).toThrow("no index");
});

test("an ordinary end goes on from the last event, a bookmark's too", async () => {
  const bookmark: WatchEvent = { type: "BOOKMARK", object: pod("", "20") };
  const { asked, settle } = await started(
    [list("5")],
    [{ events: [event("ADDED", pod("a", "9")), bookmark], ending: "end" }],
  );
  await settle();
  expect(asked).toEqual(["list", "watch 5", "watch 20"]);
});

test.each([
  { when: "too old", error: new KubeError(410, "Expired", "too old") },
  {
    when: "a version the server has not reached (a restored backup)",
    error: new KubeError(504, "Timeout", "too large"),
  },
  { when: "a refusal nobody can explain", error: new KubeError(500, "InternalError", "oops") },
  { when: "a line that is no JSON", error: new SyntaxError("bad") },
])("$when: lists again, and what vanished meanwhile is told as gone", async ({ error }) => {
  const { cache, changes, asked, settle } = await started(
    [list("5", pod("a", "1"), pod("b", "2")), list("30", pod("b", "2"), pod("c", "25"))],
    [{ events: [], ending: error }],
  );
  await settle();
  expect(asked).toEqual(["list", "watch 5", "list", "watch 30"]);
  expect(names(cache.list())).toEqual(["b", "c"]);
  expect(changes).toEqual(["new a 1", "new b 2", "gone a 1", "new c 25"]);
});

test.each([429, 502, 503])("a server that is busy (%i) still knows where we were", async (status) => {
  const { asked, settle } = await started([list("5")], [{ events: [], ending: new KubeError(status, "x", "x") }]);
  await settle();
  expect(asked).toEqual(["list", "watch 5", "watch 5"]);
});

test("the wait a server asks for is kept", async () => {
  const busy = new KubeError(429, "TooManyRequests", "slow down", { retryAfterMs: 20_000 });
  const { asked, clock } = await started([list("5")], [{ events: [], ending: busy }]);
  await clock.advance(0);
  await clock.advance(19_000);
  expect(asked).toEqual(["list", "watch 5"]);
  await clock.advance(2_000);
  expect(asked).toEqual(["list", "watch 5", "watch 5"]);
});

test("what is told again changes nothing, and brings back nothing that is gone", async () => {
  const events = [event("ADDED", pod("b", "6")), event("DELETED", pod("b", "8")), event("ADDED", pod("b", "6"))];
  const { cache, changes, settle } = await started([list("5")], [{ events, ending: "wait" }]);
  await settle();
  expect(changes).toEqual(["new b 6", "gone b 6"]);
  expect(cache.list()).toEqual([]);
});

test("pages whose snapshot ran out are asked for all at once", async () => {
  const { cache, asked, settle } = await started(
    [
      { ...list("5", pod("a", "1")), continue: "next" },
      new KubeError(410, "Expired", "gone"),
      list("9", pod("a", "1"), pod("b", "7")),
    ],
    [],
  );
  await settle();
  expect(asked).toEqual(["list", "list next", "list", "watch 9"]);
  expect(names(cache.list())).toEqual(["a", "b"]);
});

test("a broken connection is taken up where it was, without a list", async () => {
  const { asked, settle } = await started(
    [list("5")],
    [{ events: [event("ADDED", pod("a", "9"))], ending: new Error("ECONNRESET") }],
  );
  await settle();
  expect(asked).toEqual(["list", "watch 5", "watch 9"]);
});

test("what nobody reads is trimmed", async () => {
  const { cache } = await started([list("5", pod("a", "1"))], [], {
    trim: ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata: { ...metadata, labels: {} } }),
  });
  expect(cache.list()[0]?.metadata.labels).toEqual({});
});
