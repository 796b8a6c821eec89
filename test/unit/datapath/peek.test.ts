// Looking at a head without losing a byte, and letting go of what stands behind.
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { peek } from "../../../src/datapath/peek.ts";
import { drain, someBytes } from "../../support/source-suite.ts";

const body = someBytes(1000);
const inPieces = (bytes: Buffer, size: number): Readable =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    ),
    { objectMode: false },
  );

describe("head and rest", () => {
  test.each([
    { when: "pieces smaller than the head", size: 7, head: 100 },
    { when: "a piece larger than the head", size: 1000, head: 100 },
    { when: "the head ends where a piece does", size: 50, head: 100 },
    { when: "the head is everything", size: 100, head: 1000 },
    { when: "the stream is shorter than the head", size: 100, head: 5000 },
    { when: "single bytes", size: 1, head: 3 },
  ])("$when", async ({ size, head }) => {
    const peeked = await peek(inPieces(body, size), head);
    expect(peeked.head.equals(body.subarray(0, head))).toBe(true);
    expect((await drain(peeked.rest)).equals(body)).toBe(true);
  });

  test("an empty stream has an empty head and an empty rest", async () => {
    const { head, rest } = await peek(Readable.from([]), 10);
    expect(head).toHaveLength(0);
    expect(await drain(rest)).toHaveLength(0);
  });

  test("peeking twice loses nothing", async () => {
    const first = await peek(inPieces(body, 30), 100);
    const second = await peek(first.rest, 500);
    expect(second.head.equals(body.subarray(0, 500))).toBe(true);
    expect((await drain(second.rest)).equals(body)).toBe(true);
  });
});

describe("errors and ends", () => {
  const failing = (after: number, error: Error): Readable => {
    async function* bytes(): AsyncGenerator<Buffer> {
      await Promise.resolve();
      yield body.subarray(0, after);
      throw error;
    }
    return Readable.from(bytes(), { objectMode: false });
  };

  test("an error before the head is there is thrown as it is", async () => {
    const error = new Error("cut");
    const input = failing(50, error);
    await expect(peek(input, 100)).rejects.toBe(error);
    expect(input.closed).toBe(true);
  });

  test("an error behind the head is the rest's, after all bytes before it", async () => {
    const error = new Error("cut");
    const { head, rest } = await peek(failing(100, error), 100);
    expect(head).toHaveLength(100);
    const seen: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of rest) seen.push(chunk as Buffer);
    })();
    await expect(reading).rejects.toBe(error);
    expect(Buffer.concat(seen)).toHaveLength(100);
  });

  test("destroying a rest that nobody read from closes the input", async () => {
    const input = inPieces(body, 10);
    const { rest } = await peek(input, 100);
    rest.destroy();
    await once(rest, "close");
    expect(input.closed).toBe(true);
  });

  test("destroying a rest that waits for bytes closes the input", async () => {
    const input = new PassThrough();
    input.write(body);
    const { rest } = await peek(input, 10);
    const reader = rest[Symbol.asyncIterator]();
    await reader.next();
    const waiting = reader.next();
    rest.destroy();
    await expect(waiting).rejects.toThrow("Premature close");
    await (rest.closed ? undefined : once(rest, "close"));
    expect(input.closed).toBe(true);
  });
});
