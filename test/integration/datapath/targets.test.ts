// Imports seen from the target: what stays untouched, what is bounded, what a block device holds in the end.
import { createHash } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { fileSource } from "../../../importer/sources/index.ts";
import {
  blockSink,
  filesystemSink,
  importBlank,
  newProgress,
  overallFraction,
  type Sink,
} from "../../../src/datapath/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { bring, bytesSource, distantFile, failureOf, makePlace, type Place } from "../../support/bring.ts";
import { makeImages, seededBytes, wrap } from "../../support/images.ts";
import { makeFolder, makeLoop, noLoops } from "../../support/loop.ts";

const MIB = 1024 * 1024;
const blank = (sink: Sink) =>
  importBlank({
    sink,
    progress: newProgress(),
    log: silentLog,
    signal: new AbortController().signal,
    preallocate: false,
  });

/** A device full of random bytes. */
async function blockPlace(sizeBytes: number): Promise<Place & { backingPath: string }> {
  const { device, backingPath } = await makeLoop({ sizeBytes, blockBytes: 4096 });
  const scratch = await makeFolder();
  const sink = await blockSink({ path: device });
  const left = (): Promise<string[]> => readdir(scratch);
  return { volume: device, scratch, sink, left, disk: () => readFile(device), backingPath };
}

describe("an image that needs scratch and has none", () => {
  test("leaves the disk of an earlier import as it is", async () => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 2 * MIB });
    const place = await makePlace();
    const before = seededBytes(5000, "before");
    await writeFile(join(place.volume, "disk.img"), before);
    const { ino, mtimeMs } = await stat(join(place.volume, "disk.img"));
    const source = distantFile(await images.file("qcow2-v3", "xz"));
    expect(await bring(source, place, { scratch: "none", road: "staged" })).toEqual({
      kind: "scratchNeeded",
      road: "staged",
      format: "qcow2",
    });
    expect((await place.disk()).equals(before)).toBe(true);
    expect(await stat(join(place.volume, "disk.img"))).toMatchObject({ ino, mtimeMs });
    expect(await place.left()).toEqual(["disk.img"]);
  });

  test.skipIf(noLoops)("leaves a device as it is, and lets go of it", async () => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 2 * MIB });
    const place = await blockPlace(4 * MIB);
    const before = await readFile(place.backingPath);
    const source = distantFile(await images.file("qcow2-v3"));
    expect(await bring(source, place, { scratch: "none", road: "staged" })).toMatchObject({ kind: "scratchNeeded" });
    expect((await readFile(place.backingPath)).equals(before)).toBe(true);
    const again = await blockSink({ path: place.volume });
    await again.discard();
  });
});

describe("refused before anything is written", () => {
  test.skipIf(noLoops).for([
    { when: "a plain raw disk that is too large", kind: "raw", wrapping: "plain" },
    { when: "a qcow2 that is too large", kind: "qcow2-v3", wrapping: "plain" },
    { when: "a compressed qcow2 that is too large", kind: "qcow2-compressed", wrapping: "gz" },
  ] as const)("$when", async ({ kind, wrapping }) => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 4 * MIB + 512 });
    const place = await blockPlace(4 * MIB);
    const before = await readFile(place.backingPath);
    const failure = await failureOf(bring(distantFile(await images.file(kind, wrapping)), place));
    expect(failure).toEqual({
      code: "TargetTooSmall",
      message: `virtual image size ${4 * MIB + 512} is larger than the reported available storage ${4 * MIB}. A larger PVC is required`,
    });
    expect((await readFile(place.backingPath)).equals(before)).toBe(true);
    expect(await place.left()).toEqual([]);
  });
});

describe("what unpacks to more than the target takes", () => {
  test("zeros without end are stopped at its size", async () => {
    const place = await makePlace(8 * MIB);
    const progress = newProgress();
    const failure = await failureOf(bring(bytesSource(gzipSync(Buffer.alloc(300 * MIB))), place, { progress }));
    expect(failure.code).toBe("TargetTooSmall");
    expect(progress.bytesWritten).toBe(0);
    expect(progress.bytesRead).toBeLessThan(300 * 1024);
    expect(await place.left()).toEqual([]);
  });

  test.for(["staged", undefined] as const)("a qcow2 that never ends is stopped, road %s", async (road) => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: MIB });
    const image = await readFile(await images.file("qcow2-v3"));
    const place = await makePlace(8 * MIB);
    const progress = newProgress();
    const bytes = gzipSync(Buffer.concat([image, Buffer.alloc(300 * MIB)]));
    const failure = await failureOf(bring(bytesSource(bytes), place, { progress, ...(road ? { road } : {}) }));
    expect(failure).toMatchObject({ code: "ImageRefused", message: expect.stringContaining("unpacks to more than") });
    expect(progress.scratchPeakBytes).toBeLessThanOrEqual(80 * MIB);
    expect(await place.left()).toEqual([]);
  });

  test("a plain qcow2 longer than its disk is none", async () => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: MIB });
    const path = await images.file("qcow2-v3");
    await writeFile(path, Buffer.alloc(90 * MIB), { flag: "a" });
    const place = await makePlace(4 * MIB);
    await bring(distantFile(path), place);
    expect((await place.disk()).subarray(0, MIB).equals(images.raw)).toBe(true);
  });
});

describe.skipIf(noLoops)("a block device", () => {
  test("tells the digest of the image, not of the device", async () => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 3 * MIB + 512 });
    for (const kind of ["raw", "qcow2-v2"] as const) {
      const place = await blockPlace(8 * MIB);
      const done = await bring(distantFile(await images.file(kind, "zst")), place, { digest: true });
      const sha256 = createHash("sha256").update(images.raw).digest("hex");
      expect(done).toMatchObject({ kind: "done", sha256, virtualSizeBytes: 3 * MIB + 512 });
    }
  });

  test.for(["raw", "qcow2-v3"] as const)("shows no disk after a wrong checksum of %s", async (kind) => {
    const images = await makeImages({ folder: await makeFolder(), sizeBytes: 6 * MIB });
    const place = await blockPlace(8 * MIB);
    const act = bring(distantFile(await images.file(kind)), place, { checksum: `md5:${"0".repeat(32)}` });
    expect((await failureOf(act)).code).toBe("ChecksumMismatch");
    const device = await readFile(place.backingPath);
    expect(device.subarray(0, MIB).equals(Buffer.alloc(MIB))).toBe(true);
    expect(device.subarray(-MIB).equals(Buffer.alloc(MIB))).toBe(true);
    expect(await place.left()).toEqual([]);
  });

  test.for(["disk", "ramfs"] as const)("made blank reads as zeros, on %s", async (backing) => {
    const { device, backingPath } = await makeLoop({ sizeBytes: 5 * MIB + 4096, blockBytes: 4096, backing });
    expect(await blank(await blockSink({ path: device }))).toMatchObject({ sizeBytes: 5 * MIB + 4096 });
    expect((await readFile(backingPath)).equals(Buffer.alloc(5 * MIB + 4096))).toBe(true);
  });
});

test("a blank disk on a file system has the claim's size, and no blocks", async () => {
  const folder = await makeFolder();
  const result = await blank(await filesystemSink({ folder, requestBytes: 100 * MIB, overhead: 0.06 }));
  // 100 MiB / 1.06, rounded down to a MiB.
  expect(result).toMatchObject({ sizeBytes: 94 * MIB, allocatedBytes: 0 });
  expect((await stat(join(folder, "disk.img"))).size).toBe(94 * MIB);
});

test("a blank disk that is aborted leaves nothing", async () => {
  const folder = await makeFolder();
  const sink = await filesystemSink({ folder, requestBytes: MIB });
  const signal = AbortSignal.abort(new Error("enough"));
  const act = importBlank({ sink, progress: newProgress(), log: silentLog, signal, preallocate: false });
  expect((await failureOf(act)).message).toBe("enough");
  expect(await readdir(folder)).toEqual([]);
});

test.skipIf(noLoops)("an image that lies on a device of this machine needs no scratch either", async () => {
  const images = await makeImages({ folder: await makeFolder(), sizeBytes: 2 * MIB });
  const { device } = await makeLoop({ sizeBytes: 4 * MIB, fill: "zeros" });
  await writeFile(device, await readFile(await images.file("qcow2-v3")));
  const place = await makePlace();
  const source = fileSource(device);
  expect(await bring(source, place)).toMatchObject({ road: "one-pass", scratchPeakBytes: 0 });
  await source.close();
  expect((await place.disk()).equals(images.raw)).toBe(true);
});

test("the fraction only grows, through every change of a staged import", async () => {
  const images = await makeImages({ folder: await makeFolder(), sizeBytes: 12 * MIB });
  const place = await makePlace();
  const seen: number[] = [];
  const stages = new Set<string>();
  // Looks at each change, not now and then.
  const progress = new Proxy(newProgress(), {
    set(target, key, value) {
      Reflect.set(target, key, value);
      if (key !== "bytesDone") return true;
      stages.add(target.stage);
      seen.push(overallFraction(target) ?? -1);
      return true;
    },
  });
  await bring(distantFile(await images.file("qcow2-compressed", "gz")), place, { progress, road: "staged" });
  expect([...stages]).toEqual(["connecting", "downloading", "converting", "finishing"]);
  expect(seen.slice(1)).toEqual(seen.slice(1).toSorted((one, other) => one - other));
  expect(seen.length).toBeGreaterThan(20);
  expect(overallFraction(progress)).toBe(0.99);
});

test("bytes asked for as raw land as they are, a qcow2 too", async () => {
  const images = await makeImages({ folder: await makeFolder(), sizeBytes: MIB });
  const image = await readFile(await images.file("qcow2-v3"));
  const place = await makePlace();
  const done = await bring(bytesSource(await wrap(image, "gz"), { path: "/disk.vmdk.gz" }), place, { format: "raw" });
  expect(done).toMatchObject({ road: "straight", format: "raw", layers: ["gz"], virtualSizeBytes: image.length });
  expect((await place.disk()).equals(image)).toBe(true);
});
