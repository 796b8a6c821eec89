// Buffers that go round: only what was handed on comes back, and only once.
import { expect, test } from "vitest";
import { alsoRead, giveBack, handOn, largeBuffer, largeBytes } from "../../../src/lib/buffers.ts";

test("a buffer that is given back is the next one taken", () => {
  const whole = largeBuffer();
  expect(whole).toHaveLength(largeBytes);
  const part = handOn(whole, 5);
  expect(part).toHaveLength(5);
  giveBack(part);
  expect(largeBuffer()).toBe(whole);
});

test.for<{ what: string; part: (whole: Buffer) => Uint8Array }>([
  { what: "a copy of what was handed on", part: (whole) => Buffer.from(handOn(whole, 7)) },
  { what: "a piece of what was handed on", part: (whole) => handOn(whole, 7).subarray(1) },
  { what: "bytes of somebody else", part: () => Buffer.alloc(largeBytes) },
])("$what does not bring the buffer back", ({ part }) => {
  const whole = largeBuffer();
  giveBack(part(whole));
  expect(largeBuffer()).not.toBe(whole);
});

test("giving back twice brings it back once", () => {
  const whole = largeBuffer();
  const part = handOn(whole, largeBytes);
  giveBack(part);
  giveBack(part);
  expect(largeBuffer()).toBe(whole);
  expect(largeBuffer()).not.toBe(whole);
});

test("what two read comes back with the second", () => {
  const whole = largeBuffer();
  const part = handOn(whole, 9);
  alsoRead(part);
  giveBack(part);
  const other = largeBuffer();
  expect(other).not.toBe(whole);
  giveBack(part);
  expect(largeBuffer()).toBe(whole);
});
