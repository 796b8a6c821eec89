// The disk formats that qemu-img converts beside qcow2: whole, cut anywhere, and odd. What comes out is what qemu-img gives,
// or nothing.
import { open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  blockSink,
  filesystemSink,
  findTool,
  readImageInfo,
  type ImportDone,
  type Sink,
} from "../../../src/datapath/index.ts";
import { isZero } from "../../../src/datapath/sinks/zero-blocks.ts";
import { bring, bytesSource, distantFile, failureOf, makePlace } from "../../support/bring.ts";
import {
  allFormatKinds,
  formatKinds,
  formatOf,
  makeFormat,
  qemuSizeOf,
  rawOf,
  vmwareStream,
  type FormatKind,
} from "../../support/disk-formats.ts";
import { makeImages, wrap } from "../../support/images.ts";
import { makeExt4, makeFolder, makeLoop, noLoops, type AtEnd } from "../../support/loop.ts";
import { allowedBytesOf, numbersFrom } from "../../support/sparse-image.ts";

const MIB = 1024 * 1024;
/** Neither whole grains, clusters or blocks nor whole cylinders. */
const imageBytes = 40 * MIB + 75 * 512;
const targetBytes = 48 * MIB;
const cuts = 30;
const noQemu = findTool("qemu-img") ? undefined : "qemu-img is not installed (package qemu-utils)";
const { signal } = new AbortController();

describe.skipIf(noQemu)(`formats${noQemu ? `: ${noQemu}` : ""}`, () => {
  let folder: string;
  let raw: Buffer;
  const paths = new Map<FormatKind, string>();
  const disks = new Map<FormatKind, Buffer>();
  const releases: (() => Promise<void>)[] = [];
  const atEnd: AtEnd = (release) => void releases.unshift(release);
  const pathOf = (kind: FormatKind): string => paths.get(kind) ?? "";
  const diskOf = (kind: FormatKind): Buffer => disks.get(kind) ?? Buffer.alloc(0);

  beforeAll(async () => {
    folder = await makeFolder("cdi-formats-", atEnd);
    const wanted = { folder, sizeBytes: imageBytes, extents: 80, longestExtentBytes: 120 * 1024, seed: 5 };
    const images = await makeImages(wanted);
    raw = images.raw;
    for (const kind of allFormatKinds) {
      const path = await makeFormat(kind, await images.file("raw"), join(folder, kind.replaceAll(" ", "-")));
      paths.set(kind, path);
      disks.set(kind, await rawOf(formatKinds[kind][0], path));
    }
  }, 120_000);
  afterAll(async () => {
    for (const release of releases) await release();
  });

  test("a VHD ends with its last cylinder, the others where the disk does", () => {
    for (const kind of allFormatKinds) {
      expect(diskOf(kind).length === imageBytes, kind).toBe(kind !== "vhd dynamic");
      expect(diskOf(kind).subarray(0, imageBytes).equals(raw), kind).toBe(true);
    }
  });

  describe.skipIf(noLoops)(`whole${noLoops ? `: ${noLoops}` : ""}`, () => {
    let volume: string;
    beforeAll(async () => {
      volume = await makeExt4(96 * MIB, atEnd);
    });
    const places = ["Filesystem", "Block"] as const;
    const cases = allFormatKinds.flatMap((kind) =>
      (["plain", "gz"] as const).flatMap((wrapping) => places.map((place) => ({ kind, wrapping, place }))),
    );
    test.for(cases)("$kind, $wrapping, onto $place", async ({ kind, wrapping, place }) => {
      const bytes = await wrap(await readFile(pathOf(kind)), wrapping);
      const name = `/disk${formatKinds[kind][2]}${wrapping === "gz" ? ".gz" : ""}`;
      const { sink, path, allocatedBytes } = place === "Block" ? await onBlock() : await onFilesystem(volume);
      const scratch = await makeFolder();
      const done = await bring(bytesSource(bytes, { path: name }), { ...(await makePlace()), sink, scratch });
      const expected = diskOf(kind);
      expect(done).toMatchObject({
        kind: "done",
        road: "staged",
        format: formatOf(kind),
        layers: wrapping === "gz" ? ["gz"] : [],
        virtualSizeBytes: expected.length,
      });
      const disk = await readFile(path);
      expect(disk.length).toBe(place === "Block" ? targetBytes : expected.length);
      expect(disk.subarray(0, expected.length).equals(expected)).toBe(true);
      expect(isZero(disk, expected.length, disk.length - expected.length)).toBe(true);
      expect(await allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(expected));
      expect(await readdir(scratch)).toEqual([]);
    });
  });

  test.for(allFormatKinds)("%s, cut anywhere, is no other disk", async (kind) => {
    const whole = await readFile(pathOf(kind));
    const next = numbersFrom(allFormatKinds.indexOf(kind) + 1);
    const ends = Array.from({ length: cuts - 3 }, () => Math.floor(next() * whole.length));
    const seen: string[] = [];
    for (const end of [...ends, 600, whole.length - 1, whole.length - 512]) {
      const path = join(folder, `cut${formatKinds[kind][2]}`);
      await writeFile(path, whole.subarray(0, end));
      const place = await makePlace();
      const { code } = await failureOf(bring(distantFile(path), place));
      seen.push(code);
      if (code === "none") expect((await place.disk()).equals(diskOf(kind)), `cut at ${end}`).toBe(true);
      else expect(await place.left()).toEqual([]);
    }
    // What may be missing: a VHD's closing footer, of which its head is a copy, and the part of a last block behind the disk.
    expect(seen.filter((code) => code === "ImageTruncated").length).toBeGreaterThanOrEqual(cuts / 2);
    expect(seen.filter((code) => code !== "ImageTruncated" && code !== "none")).toEqual([]);
  });

  test.for(allFormatKinds)("%s tells its size as qemu-img does, from the head but for VHDX", async (kind) => {
    const info = await readImageInfo(distantFile(pathOf(kind)), signal);
    const sizeBytes = await qemuSizeOf(formatKinds[kind][0], pathOf(kind));
    expect(info).toMatchObject({ format: formatOf(kind), layers: [] });
    expect(info.virtualSizeBytes).toBe(formatOf(kind) === "vhdx" ? undefined : sizeBytes);
  });

  test.for(allFormatKinds)("%s larger than its target is refused before anything is written", async (kind) => {
    const place = await makePlace(8 * MIB);
    const fault = await failureOf(bring(distantFile(pathOf(kind)), place));
    expect(fault.code).toBe("TargetTooSmall");
    expect(fault.message).toContain(`virtual image size ${diskOf(kind).length} is larger`);
    expect(await place.left()).toEqual([]);
  });

  test.for(allFormatKinds)("%s with bytes behind its end", async (kind) => {
    const place = await makePlace();
    const more = Buffer.alloc(777, 0xa5);
    const source = bytesSource(Buffer.concat([await readFile(pathOf(kind)), more]), { path: "/disk" });
    const done = (await bring(source, place)) as ImportDone;
    expect(done.format).toBe(formatOf(kind));
    expect((await place.disk()).equals(diskOf(kind))).toBe(true);
  });

  describe("VMDK as VMware writes it, the directory last", () => {
    test("is the disk that qemu-img sees", async () => {
      const path = join(folder, "vmware.vmdk");
      await writeFile(path, vmwareStream(raw));
      const place = await makePlace();
      await bring(distantFile(path), place);
      const disk = await place.disk();
      expect(disk.equals(raw)).toBe(true);
      expect(disk.equals(await rawOf("vmdk", path))).toBe(true);
    });
    test.each([
      { when: "bytes behind its end", change: (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(512, 1)]) },
      { when: "no end", change: (bytes: Buffer) => bytes.subarray(0, -512) },
      { when: "half of it missing", change: (bytes: Buffer) => bytes.subarray(0, bytes.length / 2) },
    ])("$when", async ({ change }) => {
      const place = await makePlace();
      const fault = await failureOf(bring(bytesSource(change(vmwareStream(raw))), place));
      expect(fault.code).toBe("ImageTruncated");
      expect(await place.left()).toEqual([]);
    });
  });

  describe("a VHD's size is the geometry's or the footer's, by who made it", () => {
    test.each([
      { creator: "vpc ", isGeometry: true },
      { creator: "vbox", isGeometry: true },
      { creator: "qemu", isGeometry: true },
      { creator: "qem2", isGeometry: false },
      { creator: "win ", isGeometry: false },
      { creator: "d2v ", isGeometry: false },
      { creator: "tap\0", isGeometry: false },
      { creator: "CTXS", isGeometry: false },
      { creator: "wa\0\0", isGeometry: false },
      { creator: "vpc ", isGeometry: false, geometry: [65535, 16, 255] },
    ])("$creator $geometry", async ({ creator, isGeometry, geometry = [1000, 5, 16] }) => {
      const path = join(folder, "creator.vhd");
      const vhd = await readFile(pathOf("vhd dynamic"));
      const [cylinders = 0, heads = 0, sectors = 0] = geometry;
      vhd.write(creator, 28, "latin1");
      vhd.writeUInt16BE(cylinders, 56);
      vhd.writeUInt8(heads, 58);
      vhd.writeUInt8(sectors, 59);
      vhd.writeUInt32BE(0, 64);
      const sum = vhd.subarray(0, 512).reduce((all, byte) => all + byte, 0);
      vhd.writeUInt32BE(~sum >>> 0, 64);
      await writeFile(path, vhd);
      const place = await makePlace();
      await bring(distantFile(path), place);
      // Older qemus do not know Azure's mark; the disk is whole with any of them.
      const expected = creator === "wa\0\0" ? diskOf("vhd dynamic") : await rawOf("vpc", path);
      expect(expected.length).toBe(isGeometry ? cylinders * heads * sectors * 512 : diskOf("vhd dynamic").length);
      expect((await place.disk()).equals(expected)).toBe(true);
    });
  });

  test("a VHDX whose log was not replayed is refused with the way to do it", async () => {
    const path = join(folder, "log.vhdx");
    await writeFile(path, await readFile(pathOf("vhdx dynamic")));
    const handle = await open(path, "r+");
    onTestFinished(() => rm(path, { force: true }));
    try {
      for (const at of [64 * 1024, 128 * 1024]) {
        const header = Buffer.alloc(4096);
        await handle.read(header, 0, 4096, at);
        header.fill(0x77, 48, 64);
        header.writeUInt32LE(castagnoli(header), 4);
        await handle.write(header, 0, 4096, at);
      }
    } finally {
      await handle.close();
    }
    const fault = await failureOf(bring(distantFile(path), await makePlace()));
    expect(fault.code).toBe("ImageRefused");
    expect(fault.message).toContain("qemu-img check -r all");
  });

  test("a local file is converted where it lies", async () => {
    const place = await makePlace();
    const path = join(folder, "local.vdi");
    await writeFile(path, await readFile(pathOf("vdi dynamic")));
    await truncate(path, (await stat(path)).size);
    const source = { ...distantFile(path), localPath: path };
    const done = (await bring(source, place)) as ImportDone;
    expect(done.scratchPeakBytes).toBe(0);
    expect((await place.disk()).equals(diskOf("vdi dynamic"))).toBe(true);
  });
});

interface Target {
  sink: Sink;
  path: string;
  allocatedBytes: () => Promise<number>;
}

async function onBlock(): Promise<Target> {
  const { device, allocatedBytes } = await makeLoop({ sizeBytes: targetBytes, blockBytes: 512 });
  return { sink: await blockSink({ path: device }), path: device, allocatedBytes };
}

async function onFilesystem(folder: string): Promise<Target> {
  const path = join(folder, "disk.img");
  await rm(path, { force: true });
  const sink = await filesystemSink({ folder });
  return { sink, path, allocatedBytes: async () => (await stat(path)).blocks * 512 };
}

/** CRC-32C bit by bit, the four bytes at 4 taken as zeros. */
function castagnoli(bytes: Buffer): number {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(0, 4);
  let sum = 0xffff_ffff;
  for (const byte of copy) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0x82f6_3b78 : sum >>> 1;
  }
  return ~sum >>> 0;
}
