// The body of an answer: bytes before a failure are never lost, and a failure nobody reads is no unhandled error.
import { expect, test } from "vitest";
import { giveBack, largeBuffer, largeBytes } from "../../../src/lib/buffers.ts";
import { HttpBody } from "../../../src/lib/http-body.ts";

interface Seen {
  aborted: unknown[];
  resumed: number;
}

function bodyOf(plan: { announcedBytes?: number; dropBytes?: number } = {}): { body: HttpBody; seen: Seen } {
  const seen: Seen = { aborted: [], resumed: 0 };
  const flow = { resume: () => void (seen.resumed += 1), abort: (reason: Error) => void seen.aborted.push(reason) };
  const { announcedBytes, dropBytes = 0 } = plan;
  return { body: new HttpBody(flow, { where: "http://h/x", announcedBytes, dropBytes }), seen };
}

async function readAll(body: HttpBody): Promise<{ text: string; error: unknown }> {
  let text = "";
  try {
    for await (const chunk of body) text += String(chunk);
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}
const afterAllTicks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([
  { when: "length is not told", plan: {}, text: "abcdef", code: undefined },
  { when: "length is right", plan: { announcedBytes: 6 }, text: "abcdef", code: undefined },
  { when: "bytes are missing", plan: { announcedBytes: 7 }, text: "abcdef", code: "SourceCut" },
  { when: "bytes are too many", plan: { announcedBytes: 5 }, text: "abcdef", code: "SourceSizeUnknown" },
  { when: "some are dropped inside a chunk", plan: { dropBytes: 4 }, text: "ef", code: undefined },
  { when: "all are dropped", plan: { dropBytes: 6 }, text: "", code: undefined },
  { when: "more are dropped than come", plan: { dropBytes: 7 }, text: "", code: "SourceChanged" },
])("a body whose $when", async ({ plan, text, code }) => {
  const { body } = bodyOf(plan);
  body.receive(Buffer.from("abc"));
  body.receive(Buffer.from("def"));
  body.finish();
  await afterAllTicks();
  const read = await readAll(body);
  expect({ text: read.text, code: (read.error as { code?: string } | undefined)?.code }).toEqual({ text, code });
});

test("a failure comes after the bytes before it, whenever the reader comes", async () => {
  const { body, seen } = bodyOf();
  const cause = new Error("cut");
  body.receive(Buffer.from("abc"));
  body.fail(cause);
  await afterAllTicks();
  expect(body.hasFailed).toBe(true);
  expect(await readAll(body)).toEqual({ text: "abc", error: cause });
  expect(seen.aborted).toEqual([]);
});

test("a reader that waits hears of a failure at once", async () => {
  const { body } = bodyOf();
  const reading = readAll(body);
  await afterAllTicks();
  const cause = new Error("cut");
  body.fail(cause);
  expect(await reading).toEqual({ text: "", error: cause });
});

test.each(["before anyone reads", "while someone reads"])(
  "a stop %s ends the exchange with its reason",
  async (when) => {
    const { body, seen } = bodyOf();
    const reason = new Error("stopped");
    const reading = when === "while someone reads" ? readAll(body) : undefined;
    await afterAllTicks();
    body.stop(reason);
    await afterAllTicks();
    expect((await (reading ?? readAll(body))).error).toBe(reason);
    expect(seen.aborted).toEqual([reason]);
  },
);

test("a body full to its limit asks for a pause, and for more when it was read", async () => {
  const { body, seen } = bodyOf();
  expect(body.receive(Buffer.alloc(1024))).toBe(true);
  expect(body.receive(Buffer.alloc(2 * largeBytes))).toBe(false);
  expect(seen.resumed).toBe(0);
  const chunks = body[Symbol.asyncIterator]();
  await chunks.next();
  await chunks.next();
  expect(seen.resumed).toBeGreaterThan(0);
  body.destroy();
});

test("bytes come in their order, however they came in: small, large, and large ones with little in them", async () => {
  const { body } = bodyOf({ dropBytes: 3 });
  const all: Buffer[] = [];
  const piece = (length: number): Buffer => {
    const bytes = Buffer.alloc(length, all.length + 1);
    all.push(bytes);
    return bytes;
  };
  const large = (length: number): void => {
    const whole = largeBuffer();
    piece(length).copy(whole);
    body.receiveLarge(whole, length);
  };
  for (const length of [5, 1000, largeBytes, 70_000]) body.receive(piece(length));
  for (const length of [10, largeBytes, 300_000, 7]) large(length);
  body.receive(piece(5));
  body.finish();
  const got: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) {
    got.push(Buffer.from(chunk));
    giveBack(chunk);
  }
  expect(Buffer.concat(got).equals(Buffer.concat(all).subarray(3))).toBe(true);
});

test("destroying a complete body aborts nothing", () => {
  const { body, seen } = bodyOf();
  body.finish();
  body.destroy();
  expect(seen.aborted).toEqual([]);
});
