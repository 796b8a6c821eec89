// A source that breaks off in the middle: the import goes on where it was, fetches next to nothing twice, and never mixes two
// files. Real servers, every road.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/lib/clock.ts";
import { newProgress } from "../../../src/datapath/index.ts";
import { bring, failureOf, makePlace } from "../../support/bring.ts";
import { sentBytes, startHttpServer, type HttpFaults } from "../../support/http-server.ts";
import { makeImages, wrap, type Images } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";
import { someBytes } from "../../support/source-suite.ts";
import { sourceOf } from "../sources/http-support.ts";

const MIB = 1024 * 1024;
/** Larger than what sockets and buffers on the way hold, so that a cut is one. */
const diskBytes = 48 * MIB;
const segmentBytes = 16 * MIB;
let images: Images;
const staged = ["vmdk", "vdi", "vhdx"];
const files: Record<string, Buffer> = {};
const release: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const folder = await makeFolder("cdi-resume-", (act) => void release.push(act));
  images = await makeImages({ folder, sizeBytes: diskBytes, extents: 40 });
  for (const format of staged) {
    const path = join(folder, `disk.${format}`);
    await promisify(execFile)("qemu-img", ["convert", "-O", format, await images.file("raw"), path]);
    files[`/disk.${format}`] = await readFile(path);
  }
  Object.assign(files, {
    "/disk.img": images.raw,
    "/disk.img.gz": await wrap(images.raw, "gz"),
    "/disk.img.xz": await wrap(images.raw, "xz"),
    "/disk.img.zst": await wrap(images.raw, "zst"),
    "/disk.qcow2": await readFile(await images.file("qcow2-v3")),
    "/compressed.qcow2": await readFile(await images.file("qcow2-compressed")),
    "/disk.qcow2.zst": await readFile(await images.file("qcow2-v3", "zst")),
  });
  return async () => {
    for (const act of release) await act();
  };
}, 120_000);

const sumOf = (bytes: Uint8Array, algorithm = "sha256"): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;

const roads = [
  "/disk.img",
  "/disk.img.gz",
  "/disk.img.xz",
  "/disk.img.zst",
  "/disk.qcow2",
  "/compressed.qcow2",
  "/disk.qcow2.zst",
  ...staged.map((format) => `/disk.${format}`),
];
const cuts = roads.flatMap((path) => [0.1, 0.5, 0.9].map((share) => ({ path, share })));

describe("cut once", () => {
  test.each(cuts)("$path at $share of it: no more than a segment is fetched twice", async ({ path, share }) => {
    const file = files[path] ?? Buffer.alloc(0);
    const server = await startHttpServer({ files });
    // The first request that comes so far is the one for the body: tables and heads are asked for by short ranges.
    server.faults = { cutAtByte: Math.floor(file.length * share) };
    const place = await makePlace();
    const progress = newProgress();
    const going = bring(sourceOf(server.url(path)), place, { progress });
    await expect.poll(() => progress.retries, { timeout: 20_000, interval: 1 }).toBeGreaterThan(0);
    server.faults = {};
    await going;
    expect((await place.disk()).equals(images.raw)).toBe(true);
    expect(sentBytes(server) - file.length).toBeLessThan(segmentBytes);
    expect(progress.resumedFromBytes).toBeGreaterThan(file.length * share - segmentBytes);
  });

  test.each(["sha256", "sha512", "sha1", "md5"].flatMap((algorithm) => roads.map((path) => ({ algorithm, path }))))(
    "$algorithm of $path is right over the joint, and a wrong one is told",
    async ({ algorithm, path }) => {
      const file = files[path] ?? Buffer.alloc(0);
      const server = await startHttpServer({ files });
      const cut: HttpFaults = { cutAfterBytes: Math.floor(file.length / 2) };
      server.faultsInTurn = [cut];
      const place = await makePlace();
      await bring(sourceOf(server.url(path)), place, { checksum: sumOf(file, algorithm) });
      expect((await place.disk()).equals(images.raw)).toBe(true);
      server.faultsInTurn = [cut];
      const other = await makePlace();
      const wrong = bring(sourceOf(server.url(path)), other, { checksum: sumOf(Buffer.from("x"), algorithm) });
      expect((await failureOf(wrong)).code).toBe("ChecksumMismatch");
      expect(await other.left()).toEqual([]);
    },
  );
});

const body = someBytes(3 * MIB + 17);
const half = Math.floor(body.length / 2);
const weak = { etag: 'W/"1"' };
const path = "/some.img";

interface Case {
  when: string;
  /** For the requests in turn; the rest goes by `always`. */
  turns: HttpFaults[];
  always?: HttpFaults;
  /** Over the right bytes. */
  checksum?: true;
  statuses: number[];
  /** Default: half. */
  resumesFrom?: number;
}

describe("difficult servers", () => {
  test.each<Case>([
    { when: "a reset", turns: [{ cutAfterBytes: half }], statuses: [206, 206] },
    {
      when: "three cuts in a row",
      turns: [{ cutAfterBytes: half }, { cutAfterBytes: 0 }, { cutAfterBytes: 0 }],
      statuses: [206, 206, 206, 206],
    },
    {
      when: "a cut, then a busy server that asks for a pause",
      turns: [{ cutAfterBytes: half }, { status: 503, headers: { "retry-after": "1" } }, { status: 429 }],
      statuses: [206, 503, 429, 206],
    },
    {
      when: "a cut, then 408, 425 and a 500",
      turns: [{ cutAfterBytes: half }, { status: 408 }, { status: 425 }, { status: 500 }],
      statuses: [206, 408, 425, 500, 206],
    },
    {
      when: "a cut, then 404 for a while",
      turns: [{ cutAfterBytes: half }, { status: 404 }],
      statuses: [206, 404, 206],
    },
    {
      when: "no answer at first",
      turns: [{ status: 503 }, { status: 502 }],
      statuses: [503, 502, 206],
      resumesFrom: -1,
    },
    {
      when: "no ranges: all is read again, and dropped up to the place",
      turns: [{ cutAfterBytes: half, ranges: false }],
      always: { ranges: false },
      statuses: [200, 200],
    },
    {
      when: "ranges at first, none later",
      turns: [{ cutAfterBytes: half }],
      always: { ranges: false },
      statuses: [206, 200],
    },
    {
      when: "chunks, no length",
      turns: [{ cutAfterBytes: half, ranges: false, length: "chunked" }],
      always: { ranges: false, length: "chunked" },
      statuses: [200, 200],
    },
    { when: "a part from elsewhere", turns: [{ cutAfterBytes: half }, { shiftBytes: 5 }], statuses: [206, 206, 200] },
    {
      when: "a part that is too short",
      turns: [{ cutAfterBytes: half }, { maxPartBytes: 9 }],
      statuses: [206, 206, 200],
    },
    {
      when: "Last-Modified only",
      turns: [{ cutAfterBytes: half, etag: "", lastModified: "Tue, 01 Jan 2030 00:00:00 GMT" }],
      always: { etag: "", lastModified: "Tue, 01 Jan 2030 00:00:00 GMT" },
      statuses: [206, 206],
    },
    {
      when: "a weak validator: from the first byte again",
      turns: [{ cutAfterBytes: half, ...weak }],
      always: weak,
      statuses: [206, 206],
      resumesFrom: 0,
    },
    {
      when: "no validator: from the first byte again",
      turns: [{ cutAfterBytes: half, etag: "" }],
      always: { etag: "" },
      statuses: [206, 206],
      resumesFrom: 0,
    },
    {
      when: "a weak validator and a checksum: it goes on",
      turns: [{ cutAfterBytes: half, ...weak }],
      always: weak,
      checksum: true,
      statuses: [206, 206],
    },
  ])("$when", async ({ turns, always = {}, checksum, statuses, resumesFrom = half }) => {
    const server = await startHttpServer({ files: { [path]: body }, faults: always });
    server.faultsInTurn = turns;
    const place = await makePlace();
    const progress = newProgress();
    await bring(sourceOf(server.url(path)), place, { progress, ...(checksum ? { checksum: sumOf(body) } : {}) });
    expect((await place.disk()).equals(body)).toBe(true);
    expect(server.requests.map(({ status }) => status)).toEqual(statuses);
    expect(progress.resumedFromBytes ?? -1).toBe(resumesFrom);
  });

  test("another file at the second request: all of the new one, nothing of the old", async () => {
    const server = await startHttpServer({ files: { [path]: body } });
    const other = Buffer.from(body).reverse();
    server.faults = { cutAfterBytes: half };
    const place = await makePlace();
    const progress = newProgress();
    const going = bring(sourceOf(server.url(path)), place, { progress });
    await expect.poll(() => server.requests.length, { interval: 1 }).toBeGreaterThan(0);
    server.files[path] = other;
    server.faults = {};
    await going;
    expect((await place.disk()).equals(other)).toBe(true);
    expect(progress.resumedFromBytes).toBe(0);
  });

  test("another file without a validator, and the checksum of the new one: it starts over, and is no mismatch", async () => {
    const server = await startHttpServer({ files: { [path]: body }, faults: weak });
    const other = Buffer.from(body).reverse();
    server.faults = { cutAfterBytes: half, ...weak };
    const place = await makePlace();
    const going = bring(sourceOf(server.url(path)), place, { checksum: sumOf(other) });
    await expect.poll(() => server.requests.length, { interval: 1 }).toBeGreaterThan(0);
    server.files[path] = other;
    server.faults = weak;
    await going;
    expect((await place.disk()).equals(other)).toBe(true);
  });

  test("a file that changes at every request is told as changed, and leaves nothing", async () => {
    const server = await startHttpServer({ files: { [path]: body } });
    server.faultsInTurn = Array.from({ length: 9 }, (_, turn) => ({ cutAfterBytes: half, etag: `"${turn}"` }));
    const place = await makePlace();
    expect((await failureOf(bring(sourceOf(server.url(path)), place))).code).toBe("SourceChanged");
    expect(await place.left()).toEqual([]);
  });

  test("a mirror that is gone for another with its own validator: over once, then it stays", async () => {
    const first = await startHttpServer({ files: { [path]: body }, faults: { etag: '"a"' } });
    const second = await startHttpServer({ files: { [path]: body }, faults: { etag: '"b"' } });
    const door = await startHttpServer({ redirects: { [path]: first.url(path) } });
    first.faultsInTurn = [{ cutAfterBytes: half, etag: '"a"' }];
    first.faults = { status: 410 };
    second.faultsInTurn = [{ etag: '"b"' }, { cutAfterBytes: half, etag: '"b"' }];
    const place = await makePlace();
    const going = bring(sourceOf(door.url(path)), place);
    await expect.poll(() => first.requests.length, { interval: 1 }).toBeGreaterThan(0);
    door.redirects = { [path]: second.url(path) };
    await going;
    expect((await place.disk()).equals(body)).toBe(true);
    expect(door.requests).toHaveLength(2);
    expect(second.requests.map(({ headers }) => headers.range)).toEqual([
      `bytes=${half}-`,
      "bytes=0-",
      `bytes=${half}-`,
    ]);
  });

  test("a stream that falls silent is cut off and resumed", async () => {
    const server = await startHttpServer({ files: { [path]: body } });
    server.faultsInTurn = [{ stallAfterBytes: half }];
    const place = await makePlace();
    await bring(sourceOf(server.url(path)), place, { stallMs: 200 });
    expect((await place.disk()).equals(body)).toBe(true);
    expect(server.requests).toHaveLength(2);
  });

  test.each([
    { when: "that cuts at the same byte for ever", faults: { cutAtByte: half }, code: "SourceCut" },
    { when: "that is always busy", faults: { status: 503 }, code: "SourceBusy" },
    { when: "that never had the file", faults: { status: 404 }, code: "SourceNotFound" },
    { when: "that cuts for ever, without validators", faults: { cutAtByte: half, etag: "" }, code: "SourceCut" },
  ])("a server $when is told as such in the end", async ({ faults, code }) => {
    const server = await startHttpServer({ files: { [path]: body }, faults });
    const place = await makePlace();
    expect((await failureOf(bring(sourceOf(server.url(path)), place))).code).toBe(code);
    expect(await place.left()).toEqual([]);
    expect(server.requests.length).toBeLessThan(8);
  });

  test("a pause between tries ends with the import", async () => {
    const server = await startHttpServer({ files: { [path]: body } });
    server.faultsInTurn = [{ cutAfterBytes: half }];
    server.faults = { status: 503, headers: { "retry-after": "3600" } };
    const place = await makePlace();
    const stop = new AbortController();
    const going = failureOf(bring(sourceOf(server.url(path)), place, { signal: stop.signal, clock: systemClock }));
    await expect.poll(() => server.requests.length, { timeout: 10_000 }).toBe(2);
    stop.abort(new Error("stopped by the test"));
    expect((await going).message).toBe("stopped by the test");
    expect(await place.left()).toEqual([]);
  });
});

test("a qcow2 that was being staged goes on with that, whatever road suits it better", async () => {
  const path = "/disk.qcow2";
  const file = files[path] ?? Buffer.alloc(0);
  const server = await startHttpServer({ files });
  const place = await makePlace();
  const stop = new AbortController();
  const checkpoint = { path: join(place.volume, "checkpoint"), owner: "1" };
  const checksum = sumOf(file);
  server.faults = { stallAtByte: Math.floor(file.length * 0.7) };
  const first = bring(sourceOf(server.url(path)), place, { road: "staged", checkpoint, checksum, signal: stop.signal });
  const saved = join(place.scratch, "tmpimage.checkpoint");
  await expect
    .poll(() => readFile(saved, "utf8").catch(() => ""), { timeout: 20_000, interval: 2 })
    .toContain("inputBytes");
  stop.abort(new Error("stopped"));
  await expect(first).rejects.toThrow("stopped");
  server.faults = {};
  const other = await makePlace();
  const progress = newProgress();
  const over = { ...other, scratch: place.scratch };
  const done = await bring(sourceOf(server.url(path)), over, { checkpoint, checksum, progress });
  expect(done).toMatchObject({ kind: "done", road: "staged" });
  expect(progress.resumedFromBytes).toBeGreaterThan(0);
  expect((await other.disk()).equals(images.raw)).toBe(true);
  expect(await readdir(other.volume)).toEqual(["disk.img"]);
  expect(await readdir(place.scratch)).toEqual([]);
});
