// Several connections: when they are opened, what they hold at most, and the order their bytes come in.
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { RangeWindow } from "../../../src/datapath/transfer/range-window.ts";
import { windowedSource } from "../../../src/datapath/transfer/windowed-source.ts";
import {
  calmBytesAfter,
  fewestStreams,
  isFar,
  isHeldBack,
  isLong,
  mostStreams,
  segmentBytes,
  windowBytes,
} from "../../../src/datapath/transfer/window-plan.ts";
import type { Source } from "../../../src/datapath/index.ts";
import { Fault } from "../../../src/lib/faults.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { bytesSource } from "../../support/bring.ts";
import { seededBytes } from "../../support/images.ts";

const MIB = 1024 * 1024;
const never = (): AbortSignal => new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([
  { when: "a link of 21 MB/s", bytes: 4 * MIB, ms: 200, waitedMs: 190, isHeld: true },
  { when: "a disk slower than the link", bytes: 4 * MIB, ms: 200, waitedMs: 20, isHeld: false },
  { when: "a link quick enough", bytes: 4 * MIB, ms: 30, waitedMs: 29, isHeld: false },
])("$when: held back by the network is $isHeld", ({ isHeld, ...stretch }) => {
  expect(isHeldBack(stretch)).toBe(isHeld);
});

test("near, or with little left, one connection is enough; each break asks for a longer calm", () => {
  expect([2, 19, 20, 200].map(isFar)).toEqual([false, false, true, true]);
  expect([31 * MIB, 32 * MIB].map(isLong)).toEqual([false, true]);
  expect([0, 1, 2, 99].map((breaks) => calmBytesAfter(breaks) / MIB)).toEqual([4, 16, 64, 16384]);
});

/** Reads that the test lets end, in the order it likes. */
function heldReads(bytes: Buffer) {
  const asked: { offset: number; length: number; signal: AbortSignal; end: (cause?: unknown) => void }[] = [];
  const read: NonNullable<Source["read"]> = (offset, into, signal) =>
    new Promise((resolve, reject) => {
      const end = (cause?: unknown): void => {
        if (cause !== undefined) return reject(cause as Error);
        bytes.copy(into, 0, offset, offset + into.length);
        resolve();
      };
      signal.addEventListener("abort", () => end(signal.reason));
      asked.push({ offset, length: into.length, signal, end });
    });
  return { asked, read };
}

describe("a window", () => {
  const bytes = seededBytes(40 * MIB + 4321, "window");
  const windowOver = (from = 0) => {
    const held = heldReads(bytes);
    const window = new RangeWindow({ read: held.read, from, end: bytes.length, signal: never() });
    expect(held.asked).toHaveLength(fewestStreams);
    window.streams = mostStreams;
    return { ...held, window };
  };

  test("asks for no more than its size ahead of its reader, and for no more parts at once than streams", async () => {
    const { asked, window } = windowOver();
    const taken = new Set<number>();
    let most = 0;
    for (;;) {
      const open = asked.filter((_, index) => !taken.has(index));
      expect(open.length).toBeLessThanOrEqual(mostStreams);
      const end = Math.max(...asked.map(({ offset, length }) => offset + length));
      most = Math.max(most, end - window.position);
      expect(end - window.position).toBeLessThanOrEqual(windowBytes + segmentBytes);
      // The last one first.
      const index = asked.findLastIndex((_, at) => !taken.has(at));
      asked[index]?.end();
      taken.add(index);
      await turn();
      if (asked.length === taken.size) for (let left = 2; left > 0; left -= 1) await window.next(never());
      if (window.position >= bytes.length - windowBytes) break;
    }
    expect(most).toBeGreaterThan(windowBytes / 2);
    window.close();
  });

  test("hands on in the file's order, whatever order the parts come in", async () => {
    const { asked, window } = windowOver(777);
    const got: Buffer[] = [];
    let ended = 0;
    const drained = (async () => {
      for (let piece = await window.next(never()); piece; piece = await window.next(never()))
        got.push(Buffer.from(piece));
    })();
    while (window.position < bytes.length) {
      // Each round ends what is open, the last one first.
      for (const one of asked.slice(ended).reverse()) one.end();
      ended = asked.length;
      await turn();
    }
    await drained;
    expect(Buffer.concat(got).equals(bytes.subarray(777))).toBe(true);
  });

  test("a part that fails fails when it is due: what came before it is handed on, and nothing more is asked for", async () => {
    const { asked, window } = windowOver();
    const cut = new Fault("SourceCut", "cut");
    asked[1]?.end(cut);
    asked[2]?.end();
    await turn();
    expect(asked).toHaveLength(mostStreams);
    asked[0]?.end();
    let got = 0;
    const drain = async (): Promise<void> => {
      for (;;) got += (await window.next(never()))?.length ?? 0;
    };
    await expect(drain()).rejects.toBe(cut);
    expect(got).toBe(segmentBytes);
    window.close();
    expect(asked.every(({ signal }, index) => index < 3 || signal.aborted)).toBe(true);
  });

  test("a reader that skips within the window keeps what is there behind, and one that goes back or further does not", async () => {
    const { asked, window } = windowOver();
    for (const index of [0, 2]) asked[index]?.end();
    await turn();
    expect(window.skipTo(2 * segmentBytes + 5)).toBe(true);
    expect(asked[1]?.signal.aborted).toBe(true);
    const piece = await window.next(never());
    expect(piece?.equals(bytes.subarray(2 * segmentBytes + 5, 2 * segmentBytes + 5 + (piece?.length ?? 0)))).toBe(true);
    expect(window.skipTo(segmentBytes)).toBe(false);
    expect(window.skipTo(bytes.length)).toBe(false);
    window.close();
  });

  test("waiting ends with the reader's signal, and the parts go on", async () => {
    const { asked, window } = windowOver();
    const stop = new AbortController();
    const waiting = window.next(stop.signal);
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    expect(asked.some(({ signal }) => signal.aborted)).toBe(false);
    window.close();
  });
});

/** Longer than a look at the network takes. */
async function later(): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await turn();
}

/** A source whose time the test sets: how long an exchange takes, and a chunk of a stream. */
function timedSource(latencyMs: number, chunkMs: number) {
  const bytes = seededBytes(48 * MIB, "far");
  let nowMs = 0;
  const asked: string[] = [];
  const source: Source = {
    name: "the test's",
    path: "/disk.img",
    facts() {
      nowMs += latencyMs;
      return Promise.resolve({ sizeBytes: bytes.length, ranges: true, validator: '"1"' });
    },
    open(offset) {
      asked.push(`from ${offset}`);
      let at = offset;
      const body = new Readable({
        highWaterMark: 1,
        read() {
          // The reader waits meanwhile.
          void later().then(() => {
            nowMs += chunkMs;
            const piece = bytes.subarray(at, at + 65536);
            at += piece.length;
            body.push(piece.length > 0 ? piece : null);
          });
        },
      });
      return Promise.resolve(body);
    },
    read(offset, into) {
      asked.push(`part ${offset}`);
      nowMs += latencyMs;
      bytes.copy(into, 0, offset);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  return { source: windowedSource(source, { log: silentLog, nowMs: () => nowMs }), asked, bytes };
}

async function drained(source: Source): Promise<Buffer> {
  const got: Buffer[] = [];
  for await (const chunk of await source.open(0, never())) got.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(got);
}

describe("one stream becomes several", () => {
  test.each([
    { when: "far and slow", latencyMs: 50, chunkMs: 3, isOne: false },
    { when: "near and slow", latencyMs: 2, chunkMs: 3, isOne: true },
    { when: "far and quick", latencyMs: 50, chunkMs: 0.5, isOne: true },
  ])("$when: one request is $isOne", async ({ latencyMs, chunkMs, isOne }) => {
    const { source, asked, bytes } = timedSource(latencyMs, chunkMs);
    expect((await drained(source)).equals(bytes)).toBe(true);
    if (isOne) expect(asked).toEqual(["from 0"]);
    else expect(asked.length).toBeGreaterThan(10);
  });

  test("a source that cannot be read in parts, or lies on this machine, is left as it is", () => {
    const inOrder = bytesSource(Buffer.alloc(1));
    expect(windowedSource(inOrder, { log: silentLog })).toBe(inOrder);
    const local: Source = { ...inOrder, read: () => Promise.resolve(), localPath: "/disk.img" };
    expect(windowedSource(local, { log: silentLog })).toBe(local);
  });
});
