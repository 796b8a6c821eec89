// Turns: so many at once, the oldest next.
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { createSlots } from "../../../../src/embedded/pods/slots.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("the oldest waits least, whoever asked first", async () => {
  const slots = createSlots(1);
  const { signal } = new AbortController();
  const order: string[] = [];
  const releases: (() => void)[] = [];
  const ask = (age: string) =>
    slots.take(age, signal).then((release) => {
      order.push(age);
      releases.push(release);
    });
  const asked = ["3", "1", "2"].map(ask);
  await settled();
  expect(order).toEqual(["1"]);
  releases[0]?.();
  releases[0]?.(); // giving back twice is giving back once
  await settled();
  expect(order).toEqual(["1", "2"]);
  releases[1]?.();
  await Promise.all(asked);
  expect(order).toEqual(["1", "2", "3"]);
});

test("one that gives up holds nothing and leaves no listener", async () => {
  const slots = createSlots(1);
  const stay = new AbortController();
  const leave = new AbortController();
  const release = await slots.take("1", stay.signal);
  const waiting = slots.take("2", leave.signal);
  await settled();
  leave.abort(new Error("left"));
  await expect(waiting).rejects.toThrow("left");
  release();
  await slots.take("3", stay.signal);
  expect(getEventListeners(stay.signal, "abort")).toEqual([]);
});
