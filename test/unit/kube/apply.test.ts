import { describe, expect, onTestFinished, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { Key, KubeObject } from "../../../src/api/meta.ts";
import { createApply, StepRefused } from "../../../src/kube/apply.ts";
import { KubeError, type KubeClient, type Step } from "../../../src/kube/index.ts";
import { runController, type Controller } from "../../../src/kube/runner.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { aClaim, aPod } from "../../support/objects.ts";
import { testClock } from "../../support/test-clock.ts";

const refuse = (status: number, reason: string) => () => Promise.reject(new KubeError(status, reason, reason));

function recording(overrides: Partial<KubeClient> = {}) {
  const calls: string[] = [];
  let version = 100;
  const next = () => ({ ...aClaim(), metadata: { ...aClaim().metadata, resourceVersion: String((version += 1)) } });
  const client: KubeClient = {
    get: () => Promise.resolve(undefined),
    list: () => Promise.resolve({ resourceVersion: "1", items: [] }),
    async *watch() {},
    create: (object, kind) => Promise.resolve((calls.push(`create ${kind.kind}`), object)),
    update: (object) => Promise.resolve(object),
    patch: (ref, body) => Promise.resolve((calls.push(`patch ${ref.kind.kind} ${JSON.stringify(body)}`), next())),
    delete: (ref, options) => Promise.resolve(void calls.push(`delete ${ref.kind.kind} ${options?.uid}`)),
    ...overrides,
  };
  const clock = testClock();
  return { calls, clock, apply: createApply({ client, clock, component: "test" }) };
}

const ref = { kind: kinds.claim, namespace: "default", name: "disk" };
const patch = (body: object): Step => ({ do: "patch", ref, body, resourceVersion: "100" });

describe("steps", () => {
  test("a second patch rests on the first one's version", async () => {
    const { calls, apply } = recording();
    await apply.run([patch({ metadata: { labels: { a: "1" } } }), patch({ spec: {} })], silentLog);
    expect(calls).toEqual([
      'patch PersistentVolumeClaim {"metadata":{"labels":{"a":"1"},"resourceVersion":"100"}}',
      'patch PersistentVolumeClaim {"spec":{},"metadata":{"resourceVersion":"101"}}',
    ]);
    expect(apply.counts.get("patch persistentvolumeclaims")).toBe(2);
  });
  test.each([
    {
      when: "already there",
      step: { do: "create", kind: kinds.pod, object: aPod() } as Step,
      client: { create: refuse(409, "AlreadyExists") },
    },
    { when: "patched but gone", step: patch({}), client: { patch: refuse(404, "NotFound") } },
    {
      when: "another bears the name",
      step: { do: "delete", ref, uid: "u" } as Step,
      client: { delete: refuse(409, "Conflict") },
    },
    {
      when: "an event nobody takes",
      step: { do: "tell", about: aClaim(), type: "Normal", reason: "A", message: "b" } as Step,
      client: { create: refuse(403, "Forbidden") },
    },
  ])("$when: no error", async ({ step, client }) => {
    expect(await recording(client).apply.run([step], silentLog)).toEqual([undefined]);
  });
  test("a conflict ends the run, what follows is not done", async () => {
    const { calls, apply } = recording({ patch: refuse(409, "Conflict") });
    await expect(apply.run([patch({}), { do: "delete", ref, uid: "u" }], silentLog)).rejects.toMatchObject({
      status: 409,
    });
    expect(calls).toEqual([]);
  });
  test("a refusal names the step", async () => {
    const { apply } = recording({ create: refuse(403, "Forbidden") });
    const run = apply.run([{ do: "create", kind: kinds.pod, object: aPod() }], silentLog);
    await expect(run).rejects.toThrow(StepRefused);
    await expect(run).rejects.toThrow("create Pod default/importer-disk: Forbidden");
  });
  test("saying the same again counts", async () => {
    const there = { ...aClaim(), count: 3 };
    const { calls, apply } = recording({ create: refuse(409, "AlreadyExists"), get: () => Promise.resolve(there) });
    await apply.run([{ do: "tell", about: aClaim(), type: "Normal", reason: "A", message: "b" }], silentLog);
    await apply.settled();
    expect(calls[0]).toMatch(/^patch Event \{"count":4,/);
  });
  test("saying the same all the while is written now and then, and nothing is left out of the count", async () => {
    const counts: unknown[] = [];
    let there: KubeObject | undefined;
    const client: Partial<KubeClient> = {
      create: (object) =>
        there ? refuse(409, "AlreadyExists")() : (counts.push(object.count), Promise.resolve((there = object))),
      get: () => Promise.resolve(there),
      patch: (_ref, body) => {
        counts.push((body as { count: number }).count);
        return Promise.resolve((there = { ...(there as KubeObject), ...(body as object) }));
      },
    };
    const { apply, clock } = recording(client);
    const say = (message: string): Promise<unknown> =>
      apply.run([{ do: "tell", about: aClaim(), type: "Warning", reason: "A", message }], silentLog);
    for (let second = 0; second < 12; second++) {
      await say("b");
      await clock.advance(1000);
    }
    await apply.settled();
    expect(counts).toEqual([1, 6, 11]);
    there = undefined;
    await say("c");
    await apply.settled();
    expect(counts).toEqual([1, 6, 11, 1]);
  });
});

describe("running a controller", () => {
  const key: Key = { namespace: "a", name: "b" };
  function running(controller: Partial<Controller>, client: Partial<KubeClient> = {}) {
    const clock = testClock();
    const { apply, calls } = recording(client);
    const runner = runController(
      { name: "test", watches: [], reconcile: () => ({ steps: [] }), ...controller },
      { apply, clock, log: silentLog, workers: 2 },
    );
    onTestFinished(() => runner.close());
    return { runner, clock, calls };
  }
  test("keys keep their namespace, cluster-wide ones have none", async () => {
    const seen: Key[] = [];
    const { runner, clock } = running({ reconcile: (one) => (seen.push(one), { steps: [] }) });
    runner.enqueue(key);
    runner.enqueue({ name: "wide" });
    await clock.advance(0);
    expect(seen).toEqual([key, { name: "wide" }]);
  });
  test("a conflict is tried again soon, an error too, and lookAgainInMs later", async () => {
    let runs = 0;
    const { runner, clock } = running({
      reconcile() {
        runs += 1;
        if (runs === 1) throw new KubeError(409, "Conflict", "old");
        if (runs === 2) throw new Error("boom");
        return { steps: [], lookAgainInMs: 2000 };
      },
    });
    runner.enqueue(key);
    await clock.advance(0);
    await clock.advance(20);
    await clock.advance(40);
    expect(runs).toBe(3);
    await clock.advance(1999);
    expect(runs).toBe(3);
    await clock.advance(1);
    expect(runs).toBe(4);
  });
  test("a refusal is met with another plan", async () => {
    const { runner, clock, calls } = running(
      {
        reconcile: () => ({ steps: [{ do: "create", kind: kinds.pod, object: aPod() }] }),
        refused: () => ({ steps: [patch({})], lookAgainInMs: 10_000 }),
      },
      { create: refuse(403, "Forbidden") },
    );
    runner.enqueue(key);
    await clock.advance(0);
    expect(calls).toHaveLength(1);
    expect(clock.sleeping).toBe(1);
  });
});
