// What every Source must do, whatever it reads from: one suite, run by each source's own test file.
import { getEventListeners } from "node:events";
import type { Readable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Source } from "../../src/datapath/index.ts";

/** Reads a stream to its end. */
export async function drain(stream: Readable): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** Bytes that differ at every place a test looks at. */
export function someBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = 1; at < length; at += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

/** @param make a source of exactly these bytes; the suite closes it, what lies behind it is the maker's to clean up */
export function sourceMustBehave(name: string, make: (body: Uint8Array) => Promise<Source>): void {
  const body = someBytes(3 * 1024 * 1024 + 17);
  const never = (): AbortSignal => new AbortController().signal;
  const made = async (bytes: Uint8Array = body): Promise<Source> => {
    const source = await make(bytes);
    onTestFinished(() => source.close());
    return source;
  };

  describe(`${name} behaves as a source`, () => {
    test("it gives all bytes in order, and the facts agree", async () => {
      const source = await made();
      const { sizeBytes } = await source.facts(never());
      expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
      expect([undefined, body.length]).toContain(sizeBytes);
    });

    test("it opens without being asked for facts before", async () => {
      expect((await drain(await (await made()).open(0, never()))).equals(body)).toBe(true);
    });

    test("it gives the same facts each time", async () => {
      const source = await made();
      const first = await source.facts(never());
      await drain(await source.open(0, never()));
      expect(await source.facts(never())).toEqual(first);
    });

    test.each([0, 1, 511, 1024 * 1024, body.length - 1, body.length])("it gives the tail from %i", async (offset) => {
      const source = await made();
      const signal = never();
      expect((await drain(await source.open(offset, signal))).equals(body.subarray(offset))).toBe(true);
      expect(getEventListeners(signal, "abort")).toEqual([]);
    });

    test("it can be opened again from the start", async () => {
      const source = await made();
      await drain(await source.open(0, never()));
      expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
    });

    test("it serves two readers at once", async () => {
      const source = await made();
      const both = await Promise.all([source.open(0, never()), source.open(1000, never())]);
      const [whole, tail] = await Promise.all(both.map(drain));
      expect(whole?.equals(body)).toBe(true);
      expect(tail?.equals(body.subarray(1000))).toBe(true);
    });

    test("an empty one ends at once", async () => {
      const source = await made(new Uint8Array());
      expect(await drain(await source.open(0, never()))).toHaveLength(0);
    });

    test("an abort ends the stream with the signal's reason and leaves no listener", async () => {
      const source = await made();
      const stop = new AbortController();
      const stream = await source.open(0, stop.signal);
      const reason = new Error("stopped by the test");
      const reading = drain(stream);
      stop.abort(reason);
      await expect(reading).rejects.toBe(reason);
      expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    });

    test("an aborted signal opens nothing", async () => {
      const source = await made();
      const reason = new Error("stopped before");
      await expect(source.open(0, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test("an aborted signal opens nothing, after the facts are known too", async () => {
      const source = await made();
      await source.facts(never());
      const reason = new Error("stopped before");
      await expect(source.open(0, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test("closing it twice, with a stream half read, is no error", async () => {
      const source = await made();
      const stream = await source.open(0, never());
      const reader = stream[Symbol.asyncIterator]();
      await reader.next();
      await source.close();
      await source.close();
      expect(stream.destroyed).toBe(true);
      await expect(reader.next()).rejects.toThrow("Premature close");
    });
  });
}
