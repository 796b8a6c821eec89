// The store in memory and on disk: revisions, expectations, history, and what is there after reopening.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openStore, StaleRevision, type Change, type Store } from "../../../../src/embedded/store/index.ts";
import { historyLength } from "../../../../src/embedded/store/history.ts";

const value = (text: string) => () => ({ text });

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "cdi-store-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  return dir;
}

describe.each(["memory", "disk"])("a store in %s", (where) => {
  const open = async (): Promise<Store> => {
    const store = await openStore(where === "disk" ? { dir: await tempDir() } : {});
    onTestFinished(() => store.close());
    return store;
  };

  test("gives each write the next revision and shows it at once", async () => {
    const store = await open();
    const writing = store.put("a/x", (revision) => ({ revision }));
    expect(store.get("a/x")).toMatchObject({ revision: 1, value: { revision: 1 }, text: '{"revision":1}' });
    await writing;
    await store.put("a/y", value("y"));
    expect(store.revision).toBe(2);
  });

  test("lists a prefix in order", async () => {
    const store = await open();
    for (const key of ["b/1", "a/2", "a/10", "a/1", "ab/1"]) await store.put(key, value(key));
    expect(store.list("a/").map(({ key }) => key)).toEqual(["a/1", "a/10", "a/2"]);
  });

  test("refuses a write whose expectation does not hold, and spends no revision on it", async () => {
    const store = await open();
    await store.put("k", value("1"), { ifRevision: 0 });
    await expect(store.put("k", value("2"), { ifRevision: 0 })).rejects.toThrow(StaleRevision);
    await expect(store.remove("k", { ifRevision: 7 })).rejects.toThrow(StaleRevision);
    expect(store.revision).toBe(1);
    expect(store.get("k")?.value).toEqual({ text: "1" });
  });

  test("of two writers who saw the same revision only the first wins", async () => {
    const store = await open();
    await store.put("k", value("0"));
    const results = await Promise.allSettled(["a", "b"].map((text) => store.put("k", value(text), { ifRevision: 1 })));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(store.get("k")?.value).toEqual({ text: "a" });
  });

  test("tells followers each change once, in order, before the writer hears of it", async () => {
    const store = await open();
    const seen: Change[] = [];
    const unfollow = store.follow((change) => seen.push(change));
    await Promise.all(["a", "b", "c"].map((key) => store.put(key, value(key))));
    await store.remove("b");
    expect(seen.map(({ revision, key, now }) => `${revision} ${key} ${now ? "put" : "removed"}`)).toEqual([
      "1 a put",
      "2 b put",
      "3 c put",
      "4 b removed",
    ]);
    unfollow();
    await store.put("d", value("d"));
    expect(seen).toHaveLength(4);
  });

  test("a write made by whom an earlier write woke is acknowledged too", async () => {
    const store = await open();
    await store.put("a", value("a")).then(() => store.put("b", value("b")));
    await store.put("c", value("c"));
    expect(store.list("").map(({ key }) => key)).toEqual(["a", "b", "c"]);
  });

  test("replays history after a revision", async () => {
    const store = await open();
    for (const key of ["a", "b", "c"]) await store.put(key, value(key));
    expect(store.since(1)?.map(({ key }) => key)).toEqual(["b", "c"]);
    expect(store.since(3)).toEqual([]);
  });

  test("hands out values nobody can change", async () => {
    const store = await open();
    const row = await store.put("k", () => ({ inner: { list: [1] } }));
    const inner = row.value["inner"] as { list: number[] };
    expect(() => inner.list.push(2)).toThrow(TypeError);
  });
});

test("history is bounded, and says so", async () => {
  const store = await openStore();
  for (let i = 0; i < 2 * historyLength; i += 1) void store.put(`k${i % 7}`, () => ({ i }));
  await store.put("last", value("last"));
  expect(store.since(1)).toBeUndefined();
  expect(store.since(store.revision - 100)).toHaveLength(100);
});

test("everything acknowledged is there after reopening; numbers are never given twice; old watches must list again", async () => {
  const dir = await tempDir();
  const first = await openStore({ dir });
  await Promise.all(Array.from({ length: 50 }, (_, i) => first.put(`k/${i}`, (revision) => ({ i, revision }))));
  await first.remove("k/7");
  const { revision } = first;
  await first.close();
  const second = await openStore({ dir });
  onTestFinished(() => second.close());
  expect(second.list("k/")).toHaveLength(49);
  expect(second.get("k/3")?.revision).toBe(4);
  expect(second.revision).toBeGreaterThan(revision);
  expect(second.since(revision)).toBeUndefined();
});

test("one folder, one process", async () => {
  const dir = await tempDir();
  const store = await openStore({ dir });
  onTestFinished(() => store.close());
  await expect(openStore({ dir })).rejects.toThrow(/another process/);
});
