// The http source against a real server: the suite, and each way a server can be difficult.
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { getEventListeners } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { silentLog, type Log } from "../../../src/lib/log.ts";
import { Secret } from "../../../src/lib/secret.ts";
import { startHttpServer, type HttpFaults } from "../../support/http-server.ts";
import { drain, someBytes, sourceMustBehave } from "../../support/source-suite.ts";
import { never, sourceOf } from "./http-support.ts";

const body = someBytes(2 * 1024 * 1024 + 3);
const files = { "/disk.img": body };

const variants: [string, HttpFaults][] = [
  ["http source", {}],
  ["http source without ranges", { ranges: false }],
  ["http source without lengths", { ranges: false, length: "chunked" }],
  ["http source ended by the connection", { ranges: false, length: "none" }],
  ["http source without validators", { etag: "" }],
  ["http source that caps its parts", { maxPartBytes: 1000 }],
  ["http source with Last-Modified", { etag: "", lastModified: "Tue, 01 Jan 2030 00:00:00 GMT" }],
];
for (const [name, faults] of variants) {
  sourceMustBehave(name, async (bytes) => {
    const server = await startHttpServer({ files: { "/disk.img": bytes }, faults });
    return sourceOf(server.url("/disk.img"));
  });
}
sourceMustBehave("https source", async (bytes) => {
  const server = await startHttpServer({ files: { "/disk.img": bytes }, tls: true });
  return sourceOf(server.url("/disk.img"), { ca: [server.ca] });
});

describe("asking", () => {
  test("a plain download is one GET, never HEAD", async () => {
    const server = await startHttpServer({ files });
    const source = sourceOf(server.url("/disk.img"));
    expect(await source.facts(never())).toMatchObject({ sizeBytes: body.length, ranges: true });
    await drain(await source.open(0, never()));
    expect(server.requests.map(({ method, status }) => `${method} ${status}`)).toEqual(["GET 206"]);
    expect(server.requests[0]?.headers).toMatchObject({
      range: "bytes=0-",
      "accept-encoding": "identity",
      "user-agent": "cdi-golang-importer",
    });
  });

  test("a page's content type is warned of, and the bytes are taken", async () => {
    const server = await startHttpServer({
      files,
      faults: { headers: { "content-type": "text/html; charset=utf-8" } },
    });
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (message) => void warnings.push(message), with: () => log };
    const source = sourceOf(server.url("/disk.img"), { log });
    expect(await drain(await source.open(0, never()))).toEqual(body);
    expect(warnings).toEqual([
      "Unexpected content type 'text/html; charset=utf-8'. Content might not be a KubeVirt image.",
    ]);
  });

  test("facts hold the body back: the network runs no more than a little ahead", async () => {
    const big = { "/disk.img": Buffer.alloc(64 * 1024 * 1024) };
    const server = await startHttpServer({ files: big });
    await sourceOf(server.url("/disk.img")).facts(never());
    const [first] = server.requests;
    let before = -1;
    await expect
      .poll(() => {
        const isStill = first?.bodyBytes === before;
        before = first?.bodyBytes ?? 0;
        return isStill;
      })
      .toBe(true);
    expect(first?.bodyBytes).toBeLessThan(32 * 1024 * 1024);
  });

  test.each<[string, HttpFaults, object]>([
    ["no ranges", { ranges: false }, { ranges: false, sizeBytes: body.length }],
    ["chunked", { ranges: false, length: "chunked" }, { ranges: false }],
    ["a chunked part", { length: "chunked" }, { ranges: true, sizeBytes: body.length }],
    ["a strong ETag", { etag: '"v1"' }, { validator: '"v1"' }],
    ["a weak ETag", { etag: 'W/"v1"' }, {}],
    ["a weak ETag and a date", { etag: 'W/"v1"', lastModified: "Tue" }, { validator: "Tue" }],
  ])("the facts of %s", async (_, faults, facts) => {
    const server = await startHttpServer({ files, faults });
    const seen = await sourceOf(server.url("/disk.img")).facts(never());
    expect(seen).toMatchObject(facts);
    expect(seen.validator).toBe("validator" in facts ? facts.validator : faults.etag ? undefined : seen.validator);
  });

  test("name and path show no secret", () => {
    const source = sourceOf("http://me:pw@host.test/a%20b/disk.qcow2?X-Key=hidden");
    expect([source.name, source.path]).toEqual(["http://host.test/a%20b/disk.qcow2", "/a b/disk.qcow2"]);
  });

  test("a slow start is no fault", async () => {
    const server = await startHttpServer({ files, faults: { delayMs: 1500 } });
    const source = sourceOf(server.url("/disk.img"), { idleMs: 300 });
    expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
  });
});

describe("statuses", () => {
  test.each([
    [401, "SourceUnauthorized", "401 Unauthorized"],
    [403, "SourceForbidden", "403 Forbidden"],
    [404, "SourceNotFound", "404 Not Found"],
    [410, "SourceGone", "410 Gone"],
    [429, "SourceBusy", "429 Too Many Requests"],
    [503, "SourceBusy", "503 Service Unavailable"],
    [405, "SourceRefused", "405 Method Not Allowed"],
    [204, "SourceRefused", "204 No Content"],
  ])("%i is %s", async (status, code, text) => {
    const server = await startHttpServer({ files, faults: { status } });
    const message = `expected status code 200, got ${status}. Status: ${text}`;
    await expect(sourceOf(server.url("/disk.img")).facts(never())).rejects.toMatchObject({ code, message });
  });

  test("after a failure the source can be asked again", async () => {
    const server = await startHttpServer({ files, faults: { status: 503, times: 1 } });
    const source = sourceOf(server.url("/disk.img"));
    await expect(source.facts(never())).rejects.toMatchObject({ code: "SourceBusy" });
    expect((await drain(await source.open(0, never()))).equals(body)).toBe(true);
  });

  test("an empty file answered with 416 has no bytes", async () => {
    const server = await startHttpServer({ files: { "/disk.img": new Uint8Array() } });
    const source = sourceOf(server.url("/disk.img"));
    expect(await source.facts(never())).toMatchObject({ sizeBytes: 0 });
    expect(server.requests.map(({ status }) => status)).toEqual([416, 200]);
    expect(await drain(await source.open(0, never()))).toHaveLength(0);
  });
});

describe("credentials and headers", () => {
  const auth = { user: "me", password: "päss:word" };
  const signed = { username: new Secret("me"), password: new Secret("päss:word") };

  test("good basic auth passes", async () => {
    const server = await startHttpServer({ files, auth });
    expect((await drain(await sourceOf(server.url("/disk.img"), signed).open(0, never()))).equals(body)).toBe(true);
  });

  test.each([
    ["bad", { ...signed, password: new Secret("wrong") }],
    ["half given", { username: signed.username }],
    ["no", {}],
  ])("%s basic auth is 401", async (_, settings) => {
    const server = await startHttpServer({ files, auth });
    const asking = sourceOf(server.url("/disk.img"), settings).facts(never());
    await expect(asking).rejects.toMatchObject({ code: "SourceUnauthorized" });
    await expect(asking).rejects.not.toThrow("wrong");
  });

  test("user and password in the URL pass, and are never shown", async () => {
    const server = await startHttpServer({ files, auth });
    const url = server.url("/disk.img").replace("//", "//me:p%C3%A4ss:word@");
    expect(await sourceOf(url).facts(never())).toMatchObject({ sizeBytes: body.length });
    server.faults = { cutAfterBytes: 10 };
    await expect(sourceOf(url).open(0, never()).then(drain)).rejects.not.toThrow(/me:|word/);
  });

  test("extra and secret headers arrive, split at the first colon", async () => {
    const requiredHeaders = { "x-one": "a: b", "x-two": "hidden", authorization: "Bearer t" };
    const server = await startHttpServer({ files, requiredHeaders });
    const source = sourceOf(server.url("/disk.img"), {
      ...signed,
      headers: ["X-One: a: b", "no header"],
      secretHeaders: [new Secret("X-Two:hidden"), new Secret("Authorization: Bearer t")],
    });
    expect(await source.facts(never())).toMatchObject({ sizeBytes: body.length });
  });

  test.each(["X-A: line\nbreak", "X A: secret", "Range: bytes=5-", "Content-Length: 5"])("%j is refused", (line) => {
    const act = () => sourceOf("http://h.test/", { headers: [], secretHeaders: [new Secret(line)] });
    expect(act).toThrow(expect.objectContaining({ code: "ConfigInvalid" }));
    expect(act).not.toThrow(/secret|line|bytes=5/);
  });
});

describe("a body that goes wrong", () => {
  /** @returns how many bytes came */
  const read = async (faults: HttpFaults, settings = {}): Promise<number> => {
    const server = await startHttpServer({ files, faults });
    return (await drain(await sourceOf(server.url("/disk.img"), settings).open(0, never()))).length;
  };

  test.each<[string, HttpFaults, string]>([
    ["cut in the middle", { cutAfterBytes: 1024 * 1024 }, "SourceCut"],
    ["cut right after the head", { cutAfterBytes: 0 }, "SourceCut"],
    ["cut in the middle of a whole answer", { cutAfterBytes: 1024 * 1024, ranges: false }, "SourceCut"],
    ["cut in the middle of chunks", { cutAfterBytes: 1024 * 1024, ranges: false, length: "chunked" }, "SourceCut"],
    ["shorter than told", { lieBytes: 1000 }, "SourceCut"],
    ["shorter than told, without ranges", { lieBytes: 1000, ranges: false }, "SourceCut"],
  ])("%s", async (_, faults, code) => {
    await expect(read(faults)).rejects.toMatchObject({ name: "Fault", code });
  });

  test("all bytes before a cut are handed on, also to a reader that comes late", async () => {
    const server = await startHttpServer({ files, faults: { cutAfterBytes: 700_000 } });
    const stream = await sourceOf(server.url("/disk.img")).open(0, never());
    await server.idle();
    let count = 0;
    const reading = (async () => {
      for await (const chunk of stream) count += (chunk as Buffer).length;
    })();
    await expect(reading).rejects.toMatchObject({ code: "SourceCut" });
    await expect(reading).rejects.toThrow(`after 700000 of ${body.length} bytes`);
    expect(count).toBe(700_000);
  });

  test("more bytes than told are not taken for the file", async () => {
    const server = await startHttpServer({ files, faults: { lieBytes: -1000, ranges: false } });
    const source = sourceOf(server.url("/disk.img"));
    expect(await source.facts(never())).toMatchObject({ sizeBytes: body.length - 1000 });
    expect(await drain(await source.open(0, never()))).toHaveLength(body.length - 1000);
  });

  test("a part whose length is less than its bounds is a cut", async () => {
    await expect(read({ lieBytes: -1000 })).rejects.toMatchObject({ code: "SourceCut" });
  });

  test("a stall ends after the idle limit and says how far it came", async () => {
    const reading = read({ stallAfterBytes: 1000 }, { idleMs: 300 });
    await expect(reading).rejects.toMatchObject({ code: "SourceStalled" });
    await expect(reading).rejects.toThrow(`after 1000 of ${body.length} bytes`);
  });

  test("a reader that pauses longer than the idle limit is no stall", async () => {
    const server = await startHttpServer({ files });
    const stream = await sourceOf(server.url("/disk.img"), { idleMs: 200 }).open(0, never());
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect((await drain(stream)).equals(body)).toBe(true);
  });

  test("a reset of a body that only the connection's end would end is a cut", async () => {
    const listener = createServer((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf", () => socket.resetAndDestroy());
      });
    });
    onTestFinished(() => void listener.close());
    await once(listener.listen(0, "127.0.0.1"), "listening");
    const { port } = listener.address() as AddressInfo;
    const reading = sourceOf(`http://127.0.0.1:${port}/disk.img`).open(0, never()).then(drain);
    await expect(reading).rejects.toMatchObject({ code: "SourceCut" });
  });

  test("what breaks off while nobody reads is asked for again", async () => {
    const server = await startHttpServer({ files, faults: { cutAfterBytes: 1000, times: 1 } });
    const source = sourceOf(server.url("/disk.img"));
    await source.facts(never());
    await server.idle();
    await expect.poll(async () => (await drain(await source.open(0, never()))).equals(body)).toBe(true);
  });
});

describe("opening further on", () => {
  test("asks for the rest only, on condition", async () => {
    const server = await startHttpServer({ files });
    const source = sourceOf(server.url("/disk.img"));
    expect((await drain(await source.open(1000, never()))).equals(body.subarray(1000))).toBe(true);
    expect(server.requests[1]?.headers).toMatchObject({ range: "bytes=1000-", "if-range": expect.any(String) });
    expect(server.requests[1]?.bodyBytes).toBe(body.length - 1000);
  });

  test.each<[string, (server: { files: Record<string, Uint8Array>; faults: HttpFaults }) => void]>([
    ["other bytes of the same length", ({ files: held }) => (held["/disk.img"] = Buffer.from(body).fill(1))],
    [
      "more bytes",
      (server) =>
        Object.assign(server, { files: Object.assign(server.files, { "/disk.img": someBytes(body.length + 1) }) }),
    ],
    ["fewer bytes than the offset", ({ files: held }) => (held["/disk.img"] = someBytes(10))],
    ["a validator that went away", (server) => (server.faults = { etag: "" })],
  ])("%s is SourceChanged", async (_, change) => {
    const server = await startHttpServer({ files });
    const source = sourceOf(server.url("/disk.img"));
    await drain(await source.open(0, never()));
    change(server);
    await expect(source.open(1000, never())).rejects.toMatchObject({ code: "SourceChanged" });
  });

  test("a changed length without any validator is SourceChanged", async () => {
    const server = await startHttpServer({ files, faults: { etag: "" } });
    const source = sourceOf(server.url("/disk.img"));
    await drain(await source.open(0, never()));
    server.files["/disk.img"] = someBytes(body.length + 5);
    await expect(source.open(1000, never())).rejects.toMatchObject({ code: "SourceChanged" });
  });

  test.each<[string, HttpFaults]>([
    ["ends before the file does", { maxPartBytes: 1000 }],
    ["begins elsewhere", { shiftBytes: 7 }],
  ])("a part that %s is not taken: the whole file is asked for, and dropped up to the offset", async (_, faults) => {
    const server = await startHttpServer({ files });
    const source = sourceOf(server.url("/disk.img"));
    await drain(await source.open(0, never()));
    server.faults = faults;
    expect((await drain(await source.open(1000, never()))).equals(body.subarray(1000))).toBe(true);
    expect(server.requests.map(({ status }) => status)).toEqual([206, 206, 200]);
  });

  test("a file that is gone keeps its own code", async () => {
    const server = await startHttpServer({ files });
    const source = sourceOf(server.url("/disk.img"));
    await drain(await source.open(0, never()));
    delete server.files["/disk.img"];
    await expect(source.open(1000, never())).rejects.toMatchObject({ code: "SourceNotFound" });
  });
});

describe("leaving", () => {
  test("an abort in the middle leaves no listener and no socket", async () => {
    const server = await startHttpServer({ files, faults: { stallAfterBytes: 100_000 } });
    const source = sourceOf(server.url("/disk.img"));
    const stop = new AbortController();
    const reading = drain(await source.open(0, stop.signal));
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    await server.idle();
  });

  test("an abort before the answer leaves no listener and no socket", async () => {
    const server = await startHttpServer({ files, faults: { delayMs: 30_000 } });
    const source = sourceOf(server.url("/disk.img"));
    const stop = new AbortController();
    const asking = source.facts(stop.signal);
    await expect.poll(() => server.openSockets()).toBe(1);
    stop.abort(new Error("enough"));
    await expect(asking).rejects.toThrow("enough");
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    await server.idle();
  });

  test.each(["with the answer waiting", "with a stream open", "with all read"])(
    "close %s leaves no socket",
    async (when) => {
      const server = await startHttpServer({ files });
      const source = sourceOf(server.url("/disk.img"));
      await source.facts(never());
      const stream = when === "with the answer waiting" ? undefined : await source.open(0, never());
      if (stream && when === "with all read") await drain(stream);
      await source.close();
      await server.idle();
    },
  );
});
