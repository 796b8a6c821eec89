// Bodies long enough to be read past the HTTP parser: what holds for short ones holds for them.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { HttpSourceSettings } from "../../../importer/sources/index.ts";
import { giveBack } from "../../../src/lib/buffers.ts";
import { startProxyServer } from "../../support/http-proxy-server.ts";
import { ownCertificate, startHttpServer, type HttpFaults } from "../../support/http-server.ts";
import { someBytes } from "../../support/source-suite.ts";
import { never, sourceOf } from "./http-support.ts";

const MIB = 1024 * 1024;
const body = someBytes(20 * MIB + 17);
const files = { "/disk.img": body };
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Reads to the end and gives each buffer back, as roads do. @param slowly waits now and then */
async function digestOf(stream: Readable, slowly = false): Promise<{ bytes: number; sha256: string; longest: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  let longest = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    longest = Math.max(longest, chunk.length);
    giveBack(chunk);
    if (slowly) await pause(5);
  }
  return { bytes, sha256: hash.digest("hex"), longest };
}

const ways = ["http", "https", "https by way of a proxy", "https by way of a proxy that speaks TLS"] as const;

/** The file at a server, and the way to it. */
async function startWay(
  way: (typeof ways)[number],
  faults: HttpFaults = {},
  settings: Partial<HttpSourceSettings> = {},
) {
  const server = await startHttpServer({ files, faults, tls: way !== "http" });
  const isProxied = way.includes("proxy");
  const own = way.endsWith("TLS") ? await ownCertificate() : undefined;
  const proxy = isProxied ? await startProxyServer(own ? { tls: own.pair } : {}) : undefined;
  onTestFinished(() => expect(proxy?.seen.length ?? 1).toBeGreaterThan(0));
  const source = sourceOf(server.url("/disk.img", "source.cdi.test"), {
    ca: own ? [server.ca, own.ca] : [server.ca],
    ...(proxy ? { proxy: { https: `${own ? "https" : "http"}://proxy.cdi.test:${proxy.port}` } } : {}),
    ...settings,
  });
  return source;
}

describe.each(ways)("by %s", (way) => {
  test.each<{ when: string; faults: HttpFaults; offset: number; slowly: boolean }>([
    { when: "from the beginning", faults: {}, offset: 0, slowly: false },
    { when: "from the middle", faults: {}, offset: 5 * MIB + 1, slowly: false },
    { when: "from the middle, without ranges", faults: { ranges: false }, offset: 5 * MIB + 1, slowly: false },
    { when: "by a slow reader", faults: {}, offset: 0, slowly: true },
    { when: "chunked", faults: { ranges: false, length: "chunked" }, offset: 0, slowly: false },
    {
      when: "on a connection that the server then closes",
      faults: { headers: { connection: "close" } },
      offset: 0,
      slowly: false,
    },
  ])("a long body is the file's bytes: $when", async ({ faults, offset, slowly }) => {
    const source = await startWay(way, faults);
    const read = await digestOf(await source.open(offset, never()), slowly);
    expect(read).toMatchObject({ bytes: body.length - offset, sha256: sha256(body.subarray(offset)) });
    // And the source goes on.
    const last = Buffer.alloc(1000);
    if (faults.ranges !== false) await source.read?.(body.length - 1000, last, never());
    if (faults.ranges !== false) expect(last.equals(body.subarray(-1000))).toBe(true);
  });

  test("bytes that lie ready come by the large buffer", async () => {
    const stream = await (await startWay(way)).open(0, never());
    const { longest, bytes } = await digestOf(stream, true);
    expect(bytes).toBe(body.length);
    expect(longest).toBeGreaterThan(128 * 1024);
  });

  test.each<{ when: string; faults: HttpFaults; code: string; text: RegExp | string }>([
    {
      when: "cut",
      faults: { cutAfterBytes: 12 * MIB },
      code: "SourceCut",
      text: new RegExp(`after \\d+ of ${body.length} bytes`),
    },
    {
      when: "cut on a connection that ends with it",
      faults: { cutAfterBytes: 12 * MIB, headers: { connection: "close" } },
      code: "SourceCut",
      text: `of ${body.length} bytes`,
    },
    {
      when: "stalled",
      faults: { stallAfterBytes: 12 * MIB },
      code: "SourceStalled",
      text: `after ${12 * MIB} of ${body.length} bytes`,
    },
  ])("a long body that is $when fails behind the bytes that came", async ({ faults, code, text }) => {
    const stream = await (await startWay(way, faults, { idleMs: 500 })).open(0, never());
    const hash = createHash("sha256");
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        hash.update(chunk);
        bytes += chunk.length;
        giveBack(chunk);
      }
    })();
    await expect(reading).rejects.toMatchObject({ code });
    await expect(reading).rejects.toThrow(text);
    expect(bytes).toBe(12 * MIB);
    expect(hash.digest("hex")).toBe(sha256(body.subarray(0, bytes)));
  });

  test("a reader that pauses longer than the idle limit in the middle is no stall", async () => {
    const stream = await (await startWay(way, {}, { idleMs: 200 })).open(0, never());
    const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    const hash = createHash("sha256");
    for (let count = 0; ; count += 1) {
      const { value } = await chunks.next();
      if (value === undefined) break;
      hash.update(value);
      if (count === 2) await pause(1000);
    }
    expect(hash.digest("hex")).toBe(sha256(body));
  });

  test("an abort in the middle ends the stream with its reason, and the connection", async () => {
    const source = await startWay(way, { stallAfterBytes: 12 * MIB });
    const abort = new AbortController();
    const stream = await source.open(0, abort.signal);
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > 4 * MIB) abort.abort(new Error("enough"));
      }
    })();
    await expect(reading).rejects.toThrow("enough");
  });
});

test.each([
  { way: "directly", proxied: false },
  { way: "by way of a proxy", proxied: true },
])("a redirect from http to a long body over https, $way", async ({ proxied }) => {
  const end = await startHttpServer({ files, tls: true });
  const proxy = await startProxyServer();
  const first = await startHttpServer({
    files: {},
    redirects: { "/disk.img": end.url("/disk.img", "source.cdi.test") },
  });
  const source = sourceOf(first.url("/disk.img", "first.cdi.test"), {
    ca: [end.ca],
    idleMs: 2000,
    ...(proxied ? { proxy: { https: `http://127.0.0.1:${proxy.port}` } } : {}),
  });
  expect(await digestOf(await source.open(0, never()))).toMatchObject({ bytes: body.length, sha256: sha256(body) });
  expect(proxy.seen.length > 0).toBe(proxied);
});

test("what a server sends behind the length it told is not read", async () => {
  const length = 16 * MIB;
  const listener = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nETag: "a"\r\n\r\n`);
      socket.write(body);
    });
  });
  onTestFinished(() => void listener.close());
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const { port } = listener.address() as AddressInfo;
  const stream = await sourceOf(`http://127.0.0.1:${port}/disk.img`).open(0, never());
  expect(await digestOf(stream)).toMatchObject({ bytes: length, sha256: sha256(body.subarray(0, length)) });
});
