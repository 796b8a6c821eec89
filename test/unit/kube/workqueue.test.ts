import { expect, test } from "vitest";
import { createWorkqueue } from "../../../src/kube/workqueue.ts";
import { testClock } from "../../support/test-clock.ts";

const shape = { baseMs: 10, capMs: 50 };

test("a key waits in line once, and in order", async () => {
  const queue = createWorkqueue(testClock());
  for (const key of ["a", "b", "a"]) queue.add(key);
  expect(queue.length).toBe(2);
  expect([await queue.take(), await queue.take()]).toEqual(["a", "b"]);
  queue.close();
});

test("a key that changes during its run comes round again, and never runs twice at once", async () => {
  const queue = createWorkqueue(testClock());
  queue.add("a");
  expect(await queue.take()).toBe("a");
  queue.add("a");
  queue.add("a");
  expect(queue.length).toBe(0);
  queue.done("a");
  expect(queue.length).toBe(1);
  expect(await queue.take()).toBe("a");
  queue.done("a");
  expect(queue.length).toBe(0);
  queue.close();
});

test("a waiting worker is handed the key, and the key counts as running", async () => {
  const queue = createWorkqueue(testClock());
  const taken = queue.take();
  queue.add("a");
  queue.add("a");
  expect(await taken).toBe("a");
  expect(queue.length).toBe(0);
  queue.done("a");
  expect(queue.length).toBe(1);
  queue.close();
});

test("later is later, and the earlier of two times stands", async () => {
  const clock = testClock();
  const queue = createWorkqueue(clock);
  queue.addAfter("a", 1000);
  queue.addAfter("a", 5000);
  queue.addAfter("a", 200);
  expect(clock.sleeping).toBe(1);
  await clock.advance(199);
  expect(queue.length).toBe(0);
  await clock.advance(1);
  expect(queue.length).toBe(1);
  queue.close();
});

test("failures wait longer each time, up to the cap, until forgotten", () => {
  const queue = createWorkqueue(testClock(), shape);
  expect([1, 2, 3, 4, 5].map(() => queue.addBackedOff("a"))).toEqual([10, 20, 40, 50, 50]);
  expect(queue.addBackedOff("b")).toBe(10);
  queue.forget("a");
  expect(queue.addBackedOff("a")).toBe(10);
  queue.close();
});

test("closing ends waiting workers and leaves no timer", async () => {
  const clock = testClock();
  const queue = createWorkqueue(clock);
  queue.addAfter("a", 1000);
  const taken = queue.take();
  queue.close();
  expect(await taken).toBeUndefined();
  expect(await queue.take()).toBeUndefined();
  queue.add("b");
  expect(queue.length).toBe(0);
  expect(clock.sleeping).toBe(0);
});
