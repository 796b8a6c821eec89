// Leader election against one Lease in memory: who leads, and who must stop when the server fails or falls silent.
import { expect, onTestFinished, test } from "vitest";
import type { KubeObject } from "../../../src/api/meta.ts";
import { KubeError, leadWithLease, type KubeClient } from "../../../src/kube/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { testClock } from "../../support/test-clock.ts";

/** What the server does with each request from now on. */
type Mood = "answers" | "fails" | "is silent";

function leaseServer() {
  let lease: KubeObject | undefined;
  let version = 0;
  const server = {
    mood: "answers" as Mood,
    writes: 0,
    holder: () => holderOf(lease),
    take: (name: string) => take(name),
  };
  const answer = async <T>(act: () => T): Promise<T> => {
    if (server.mood === "fails") throw new Error("ECONNREFUSED");
    if (server.mood === "is silent") return await new Promise<T>(() => undefined);
    return act();
  };
  const put = (object: KubeObject): KubeObject => {
    version += 1;
    server.writes += 1;
    lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    return lease;
  };
  function take(name: string): void {
    put({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "l" },
      spec: { holderIdentity: name, leaseDurationSeconds: 15, renewTime: "x" },
    });
  }
  const unused = (): Promise<never> => Promise.reject(new Error("not expected"));
  const client: KubeClient = {
    get: () => answer(() => lease),
    create: (object) => answer(() => put(object)),
    update: (object) =>
      answer(() => {
        if (object.metadata.resourceVersion !== lease?.metadata.resourceVersion)
          throw new KubeError(409, "Conflict", "changed");
        return put(object);
      }),
    list: unused,
    patch: unused,
    delete: unused,
    watch: () => ({ [Symbol.asyncIterator]: () => ({ next: unused }) }),
  };
  return { server, client };
}

const holderOf = (lease: KubeObject | undefined): string | undefined =>
  (lease?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;

function candidate(client: KubeClient, identity = "a") {
  const clock = testClock();
  const stop = new AbortController();
  const state = { leading: false, led: 0 };
  const done = leadWithLease(
    { client, clock, log: silentLog, namespace: "cdi", name: "l", identity },
    stop.signal,
    async (signal) => {
      state.leading = true;
      state.led += 1;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      state.leading = false;
    },
  );
  const ended = done.then(
    () => "ended",
    (cause: unknown) => (cause as Error).message,
  );
  onTestFinished(() => stop.abort(new Error("over")));
  const passSeconds = async (seconds: number): Promise<void> => {
    for (let at = 0; at < seconds; at += 1) await clock.advance(1000);
  };
  return { state, stop, ended, passSeconds };
}

test("a free lease is taken, renewed, and let go at the end", async () => {
  const { server, client } = leaseServer();
  const one = candidate(client);
  await one.passSeconds(60);
  expect(one.state.leading).toBe(true);
  expect(server.writes).toBeGreaterThan(20);
  one.stop.abort(new Error("over"));
  expect(await one.ended).toBe("ended");
  expect(server.holder()).toBe("");
});

test("a server that is not there yet is waited for", async () => {
  const { server, client } = leaseServer();
  server.mood = "fails";
  const one = candidate(client);
  await one.passSeconds(20);
  expect(one.state.led).toBe(0);
  server.mood = "answers";
  await one.passSeconds(3);
  expect(one.state.leading).toBe(true);
});

test.each<{ mood: Mood; seconds: number; leads: boolean }>([
  { mood: "fails", seconds: 6, leads: true },
  { mood: "fails", seconds: 13, leads: false },
  { mood: "is silent", seconds: 6, leads: true },
  { mood: "is silent", seconds: 13, leads: false },
])("a leader whose server $mood for $seconds s leads on: $leads", async ({ mood, seconds, leads }) => {
  const { server, client } = leaseServer();
  const one = candidate(client);
  await one.passSeconds(4);
  server.mood = mood;
  await one.passSeconds(seconds);
  expect(one.state.leading).toBe(leads);
  if (!leads) expect(await one.ended).toBe("the lease was lost");
});

test("another's lease is taken when it was not renewed for as long as it lasts", async () => {
  const { server, client } = leaseServer();
  server.take("b");
  const one = candidate(client);
  await one.passSeconds(14);
  expect(one.state.led).toBe(0);
  await one.passSeconds(5);
  expect(one.state.leading).toBe(true);
  expect(server.holder()).toBe("a");
});
