// A source far away is read over several connections: real servers behind a relay that holds each byte 25 ms. What is right of
// one stream stays right: order, digests, cuts, files that change, servers that do not like it.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { newProgress } from "../../../src/datapath/index.ts";
import { bring, failureOf, makePlace, type Place } from "../../support/bring.ts";
import { sentBytes, startHttpServer, type HttpFaults, type HttpTestServer } from "../../support/http-server.ts";
import { makeRawImage, wrap } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";
import { startRelay, type Relay } from "../../support/relay.ts";
import { sourceOf } from "../sources/http-support.ts";

const MIB = 1024 * 1024;
const segmentBytes = 16 * MIB;
const diskBytes = 80 * MIB;
const raw = makeRawImage(diskBytes, 70, 11, 2 * MIB);
/** Enough for several connections, and not long over one. */
const small = raw.subarray(0, 40 * MIB);
const files: Record<string, Buffer> = { "/disk.img": raw, "/small.img": small };

beforeAll(async () => {
  const folder = await makeFolder("cdi-window-", (release) => void releases.push(release));
  const path = join(folder, "disk.img");
  await writeFile(path, raw);
  await promisify(execFile)("qemu-img", ["convert", "-O", "qcow2", path, `${path}.qcow2`]);
  files["/disk.qcow2"] = await readFile(`${path}.qcow2`);
  files["/disk.img.gz"] = await wrap(raw, "gz");
  return async () => {
    for (const release of releases) await release();
  };
}, 120_000);
const releases: (() => Promise<void>)[] = [];

const sumOf = (path: string): string =>
  `sha256:${createHash("sha256")
    .update(files[path] ?? raw)
    .digest("hex")}`;

interface Way {
  server: HttpTestServer;
  relay: Relay;
  place: Place;
}

/** One stream has 10 MB/s: however busy this machine is, it is the way that holds the reader back. */
const windowBytes = MIB / 2;

async function aWay(faults: HttpFaults = {}): Promise<Way> {
  const server = await startHttpServer({ files: { ...files }, faults });
  const relay = await startRelay({ toPort: server.port, windowBytes }, onTestFinished);
  return { server, relay, place: await makePlace() };
}

async function imported(way: Way, path: string, checksum?: string): Promise<{ retries: number }> {
  const progress = newProgress();
  const source = sourceOf(`http://127.0.0.1:${way.relay.port}${path}`);
  await bring(source, way.place, { progress, ...(checksum ? { checksum } : {}) });
  return progress;
}

async function expectDisk({ place }: Way, disk = raw): Promise<void> {
  expect((await place.disk()).equals(disk)).toBe(true);
}

describe("far away", { timeout: 60_000 }, () => {
  test.each(["/disk.img", "/disk.qcow2", "/disk.img.gz"])(
    "%s comes over several connections, in its order, and little is fetched twice",
    async (path) => {
      const way = await aWay();
      await imported(way, path, sumOf(path));
      await expectDisk(way);
      expect(way.relay.mostBusy).toBeGreaterThan(2);
      expect(way.relay.mostBusy).toBeLessThanOrEqual(7);
      expect(sentBytes(way.server) - (files[path]?.length ?? 0)).toBeLessThan(segmentBytes / 2);
    },
  );

  const places = [0.1, 0.5, 0.9];
  test.each(["/disk.img", "/disk.qcow2"].flatMap((path) => places.map((share) => ({ path, share }))))(
    "$path, all connections cut at $share of it: refetched is less than a segment",
    async ({ path, share }) => {
      const way = await aWay();
      const length = files[path]?.length ?? 0;
      way.relay.cutAt(length * share);
      const { retries } = await imported(way, path, sumOf(path));
      await expectDisk(way);
      expect(retries).toBeGreaterThan(0);
      expect(way.relay.bytes - length).toBeLessThan(segmentBytes);
    },
  );

  test("one part that is cut at its byte is a break like any, and goes on there", async () => {
    const way = await aWay();
    way.server.faults = { cutAtByte: 40 * MIB + 12345 };
    const done = imported(way, "/disk.img", sumOf("/disk.img"));
    await expect
      .poll(() => way.server.requests.some(({ bodyBytes, headers }) => reaches(headers.range, bodyBytes)), {
        timeout: 30_000,
        interval: 5,
      })
      .toBe(true);
    way.server.faults = {};
    const { retries } = await done;
    await expectDisk(way);
    expect(retries).toBeGreaterThan(0);
    expect(way.relay.bytes - raw.length).toBeLessThan(segmentBytes);
  });

  /** Whether the answer to this range went up to the cut. */
  const reaches = (range: string | undefined, bytes: number): boolean =>
    Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0) + bytes >= 40 * MIB + 12345;

  test.each([
    { status: 429, headers: { "retry-after": "1" } },
    { status: 503, headers: {} },
    { status: 403, headers: {} },
  ])("a server that answers $status beside a stream is read over one", async ({ status, headers }) => {
    const way = await aWay();
    // The first one is the stream; nothing else is asked before it has shown its pace.
    way.server.faultsInTurn = [{}];
    way.server.faults = { status, headers };
    await imported(way, "/small.img", sumOf("/small.img"));
    await expectDisk(way, small);
    expect(way.server.requests.map((one) => one.status)).toEqual([206, status]);
    expect(way.relay.mostBusy).toBe(1);
  });

  test("a server that takes two connections and no more is read over one in the end", async () => {
    const way = await aWay();
    way.server.faultsInTurn = [{}, {}, {}, {}];
    way.server.faults = { status: 429, times: 3 };
    const { retries } = await imported(way, "/small.img", sumOf("/small.img"));
    await expectDisk(way, small);
    expect(retries).toBeLessThanOrEqual(3);
    expect(way.server.requests.at(-1)).toMatchObject({ status: 206 });
    expect(way.server.requests.at(-1)?.headers.range).toMatch(/-$/);
  });

  test("a server that cuts off what is asked for in parts is read over one", async () => {
    const way = await aWay();
    way.server.faultsInTurn = [{}, {}, {}];
    way.server.faults = { maxPartBytes: MIB / 2, times: 6 };
    await imported(way, "/small.img", sumOf("/small.img"));
    await expectDisk(way, small);
  });

  test.each([
    { when: "without ranges", faults: { ranges: false } },
    { when: "with a weak validator", faults: { etag: 'W/"1"' } },
    { when: "that caps ranges", faults: { maxPartBytes: 8 * MIB } },
    { when: "without a validator", faults: { etag: "" } },
  ])("a server $when is read over one connection", async ({ faults }) => {
    const way = await aWay(faults);
    await imported(way, "/small.img");
    await expectDisk(way, small);
    expect(way.relay.mostBusy).toBe(1);
  });

  test.each([
    { path: "/disk.img", checksum: true },
    { path: "/disk.img", checksum: false },
  ])("$path that changes on the way starts over, and mixes nothing", async ({ path, checksum }) => {
    const way = await aWay();
    const other = Buffer.from(raw).reverse();
    const expected = checksum ? `sha256:${createHash("sha256").update(other).digest("hex")}` : undefined;
    const done = imported(way, path, expected);
    await expect.poll(() => way.relay.mostBusy, { timeout: 30_000, interval: 5 }).toBeGreaterThan(2);
    way.server.files[path] = other;
    const { retries } = await done;
    expect((await way.place.disk()).equals(other)).toBe(true);
    expect(retries).toBeGreaterThan(0);
  });

  test("a file that is gone on the way fails as it does for one stream", async () => {
    const way = await aWay();
    const done = failureOf(imported(way, "/disk.img"));
    await expect.poll(() => way.relay.mostBusy, { timeout: 30_000, interval: 5 }).toBeGreaterThan(2);
    way.server.faults = { status: 410 };
    way.relay.cutAt(way.relay.bytes + 1);
    expect((await done).code).toBe("SourceGone");
    expect(await way.place.left()).toEqual([]);
  });
});

test("close by, a file is one request", { timeout: 60_000 }, async () => {
  const server = await startHttpServer({ files });
  const place = await makePlace();
  await bring(sourceOf(server.url("/disk.img")), place);
  expect((await place.disk()).equals(raw)).toBe(true);
  expect(server.requests.map(({ status }) => status)).toEqual([206]);
});
