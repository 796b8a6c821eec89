import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { giveBack, handOn, largeBuffer, largeBytes } from "../../../src/lib/buffers.ts";
import { GatheredParts, smallBytes } from "../../../src/lib/gathered-parts.ts";

const all = (parts: GatheredParts): Buffer[] => {
  const taken: Buffer[] = [];
  for (let part = parts.take(); part; part = parts.take()) taken.push(part);
  return taken;
};

describe("gathered parts", () => {
  test("chunks become whole parts, the rest one when it is closed, in order", () => {
    const bytes = randomBytes(2 * largeBytes + 1000);
    const parts = new GatheredParts();
    const whole: number[] = [];
    for (let at = 0; at < bytes.length; at += 16_000) {
      if (parts.add(bytes.subarray(at, at + 16_000))) whole.push(at);
    }
    expect(whole).toHaveLength(2);
    expect(parts.bytes).toBe(bytes.length);
    parts.close();
    const taken = all(parts);
    expect(taken.map(({ length }) => length)).toEqual([largeBytes, largeBytes, 1000]);
    expect(Buffer.concat(taken).equals(bytes)).toBe(true);
    expect(parts.bytes).toBe(0);
  });

  test("a whole part comes behind what was gathered before it", () => {
    const parts = new GatheredParts();
    parts.add(Buffer.from("first"));
    parts.addWhole(Buffer.from("second"));
    parts.add(Buffer.from("third"));
    parts.close();
    expect(all(parts).map(String)).toEqual(["first", "second", "third"]);
  });

  test("the memory of the chunk, and of a short part's buffer, is free at once", () => {
    const parts = new GatheredParts();
    const chunk = Buffer.from("one");
    parts.add(chunk);
    chunk.fill(0);
    parts.close();
    parts.add(Buffer.from("two"));
    expect(String(parts.take())).toBe("one");
  });

  test("a longer part takes its buffer along, and giving it back brings it round", () => {
    const parts = new GatheredParts();
    parts.add(randomBytes(smallBytes));
    parts.close();
    const part = parts.take() ?? Buffer.alloc(0);
    giveBack(part);
    const next = largeBuffer();
    expect(next.buffer).toBe(part.buffer);
    giveBack(handOn(next, 0));
  });

  test("nothing is left of what is dropped", () => {
    const parts = new GatheredParts();
    parts.add(randomBytes(largeBytes + 5));
    parts.drop();
    expect(parts.bytes).toBe(0);
    parts.close();
    expect(parts.take()).toBeUndefined();
  });
});
