// One behaviour suite that every sink passes, on real ext4 volumes and loop devices.
import { open, readdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bearsData, blockSink, filesystemSink } from "../../../src/datapath/sinks/index.ts";
import { isZero, MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import type { Sink } from "../../../src/datapath/types.ts";
import { toolSyscalls } from "../../../src/lib/syscalls.ts";
import { makeExt4, makeFolder, makeLoop, noLoops } from "../../support/loop.ts";
import { readAll, SIZE, stands } from "../../support/sink-stands.ts";
import { allowedBytesOf, makeSparseImage, numbersFrom } from "../../support/sparse-image.ts";

const image = makeSparseImage(20 * MIB + 3 * 512, 240);

/** The image at its start, and zeros after it. */
function expectImage(disk: Buffer, wanted = image): void {
  expect(disk.length).toBeGreaterThanOrEqual(wanted.length);
  expect(disk.compare(wanted, 0, wanted.length, 0, wanted.length)).toBe(0);
  expect(isZero(disk, wanted.length)).toBe(true);
}

async function pourInto(sink: Sink, chunkBytes: number, bytes = image): Promise<void> {
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const length = bytes.copy(chunk, 0, at, at + chunkBytes);
    await sink.write(at, chunk.subarray(0, length));
  }
}

for (const { name, make, roots, punches } of stands) {
  describe.skipIf(roots && noLoops)(`sink of ${name}`, () => {
    for (const chunkBytes of [MIB, 64 * 1024, 10_007]) {
      test(`takes chunks of ${chunkBytes} in order`, async () => {
        const stand = await make();
        const sink = await stand.open();
        await sink.begin(image.length);
        await pourInto(sink, chunkBytes);
        const result = await sink.commit();
        expectImage(await stand.read());
        expect(result).toMatchObject({
          sizeBytes: sink.kind === "block" ? SIZE : expect.any(Number),
          preallocated: false,
        });
        if (punches) expect(await stand.allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(image));
        if (punches) expect(sink.writtenBytes).toBeLessThanOrEqual(allowedBytesOf(image));
      });
    }

    test("takes clusters out of order, and many at once", async () => {
      const stand = await make();
      const sink = await stand.open();
      await sink.begin(image.length);
      const next = numbersFrom(7);
      const offsets = Array.from({ length: Math.ceil(image.length / 65_536) }, (_, index) => index * 65_536);
      offsets.sort(() => next() - 0.5);
      await Promise.all(offsets.map((at) => sink.write(at, image.subarray(at, at + 65_536))));
      await sink.commit();
      expectImage(await stand.read());
      if (punches) expect(await stand.allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(image));
    });

    test("zeroes what was written, in whole and odd ranges", async () => {
      const stand = await make();
      const sink = await stand.open();
      await sink.begin(image.length);
      await pourInto(sink, MIB);
      const wanted = Buffer.from(image);
      for (const [offset, length] of [
        [0, MIB],
        [5 * MIB + 100, 2 * MIB],
        [9 * MIB + 7, 11],
        [20 * MIB, 3 * 512],
      ] as const) {
        await sink.zero(offset, length);
        wanted.fill(0, offset, offset + length);
      }
      await sink.write(5 * MIB, Buffer.alloc(8192, 1));
      wanted.fill(1, 5 * MIB, 5 * MIB + 8192);
      await sink.commit();
      expectImage(await stand.read(), wanted);
      if (punches) expect(await stand.allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(wanted));
    });

    test("zeros written over data are zeros", async () => {
      const stand = await make();
      const sink = await stand.open();
      await sink.begin(image.length);
      await pourInto(sink, MIB);
      await pourInto(sink, MIB, Buffer.alloc(4 * MIB));
      await sink.write(6 * MIB + 512, Buffer.alloc(8192));
      await sink.commit();
      const wanted = Buffer.from(image).fill(0, 0, 4 * MIB);
      expectImage(await stand.read(), wanted.fill(0, 6 * MIB + 512, 6 * MIB + 512 + 8192));
    });

    test("starts over when begun again", async () => {
      const stand = await make();
      const sink = await stand.open();
      await sink.begin(image.length);
      await sink.write(0, Buffer.alloc(3 * MIB, 7));
      await sink.begin(image.length);
      await pourInto(sink, MIB);
      await sink.commit();
      expectImage(await stand.read());
    });

    test("takes a stream whose size is not known", async () => {
      const stand = await make();
      const sink = await stand.open();
      await sink.begin(0);
      await pourInto(sink, 64 * 1024);
      await sink.commit();
      expectImage(await stand.read());
    });

    test("allocates every byte when asked", async () => {
      const stand = await make();
      const sink = await stand.open({ preallocate: true });
      await sink.begin(image.length);
      await pourInto(sink, MIB);
      const { sizeBytes, preallocated } = await sink.commit();
      expect(preallocated).toBe(true);
      expectImage(await stand.read());
      if (punches) expect(await stand.allocatedBytes()).toBeGreaterThanOrEqual(sizeBytes);
    });

    test("works with system tools alone", async () => {
      const stand = await make();
      const sink = await stand.open({ calls: toolSyscalls() });
      await sink.begin(image.length);
      await pourInto(sink, MIB);
      await sink.commit();
      expectImage(await stand.read());
      if (punches) expect(await stand.allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(image));
    });

    test("refuses bytes past what it can hold, before and during", async () => {
      const stand = await make();
      const sink = await stand.open();
      const refusal = {
        code: "TargetTooSmall",
        message: expect.stringMatching(
          /^virtual image size \d+ is larger than the reported available storage \d+\. A larger PVC is required$/,
        ),
      };
      await expect(sink.begin(sink.availableBytes + 512)).rejects.toMatchObject(refusal);
      await sink.begin(0);
      await expect(sink.write(sink.availableBytes - 512, Buffer.alloc(1024, 1))).rejects.toMatchObject(refusal);
      await expect(sink.zero(sink.availableBytes, 1)).rejects.toMatchObject(refusal);
      await sink.discard();
    });
  });
}

describe("sink of a folder", () => {
  test("discard leaves nothing, at any point", async () => {
    const folder = await makeFolder();
    for (const before of [0, 1, 2]) {
      const sink = await filesystemSink({ folder });
      if (before > 0) await sink.begin(MIB);
      if (before > 1) await sink.write(0, Buffer.alloc(MIB, 1));
      await sink.discard();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test("a retry over leftovers counts them as free and replaces them", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "disk.img"), Buffer.alloc(4 * MIB, 1));
    await writeFile(join(folder, "disk.img.part"), Buffer.alloc(4 * MIB, 1));
    await writeFile(join(folder, "other"), Buffer.alloc(2 * MIB, 1));
    const sink = await filesystemSink({ folder, volumeBytes: 10 * MIB });
    expect(sink.availableBytes).toBe(8 * MIB);
    await sink.begin(8 * MIB);
    expect(await readdir(folder)).toEqual(["disk.img.part", "other"]);
    await sink.commit();
    expect(await readdir(folder)).toEqual(["disk.img", "other"]);
    const found = await stat(join(folder, "disk.img"));
    expect(found).toMatchObject({ size: 8 * MIB, blocks: 0 });
    expect(found.mode & 0o777).toBe(0o660);
  });

  test("a part file planted as a link is replaced, not followed", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "precious"), "kept");
    await symlink(join(folder, "precious"), join(folder, "disk.img.part"));
    const sink = await filesystemSink({ folder });
    await sink.begin(MIB);
    await sink.write(0, Buffer.alloc(MIB, 1));
    await sink.commit();
    expect(await readFile(join(folder, "precious"), "utf8")).toBe("kept");
  });

  test("grows to the usable part of the request, and preallocates that", async () => {
    const folder = await makeFolder();
    const sink = await filesystemSink({ folder, requestBytes: 32 * MIB, overhead: 0.06, preallocate: true });
    await sink.begin(5 * MIB);
    const result = await sink.commit();
    expect(result).toMatchObject({ sizeBytes: 30 * MIB, preallocated: true });
    expect(result.allocatedBytes).toBeGreaterThanOrEqual(30 * MIB);
    expect((await stat(join(folder, "disk.img"))).size).toBe(30 * MIB);
  });

  test("cuts the tail that an outside writer rounded up", async () => {
    const folder = await makeFolder();
    const sink = await filesystemSink({ folder });
    const loan = await sink.lend(MIB + 512);
    expect(loan.readsAsZeros).toBe(true);
    await truncate(loan.path, MIB + 4096);
    expect((await sink.commit()).sizeBytes).toBe(MIB + 512);
    expect((await stat(join(folder, "disk.img"))).size).toBe(MIB + 512);
  });

  test.skipIf(noLoops)("a full volume is TargetFull, also when preallocating, and stays broken", async () => {
    const folder = await makeExt4(16 * MIB);
    const sink = await filesystemSink({ folder });
    await sink.begin(sink.availableBytes);
    await writeFile(join(folder, "neighbour"), Buffer.alloc(8 * MIB, 1));
    const full = { code: "TargetFull", message: expect.stringContaining("no space left on device") };
    await expect(pourInto(sink, MIB, Buffer.alloc(12 * MIB, 1))).rejects.toMatchObject(full);
    await expect(sink.commit()).rejects.toMatchObject(full);
    await sink.discard();
    expect(await readdir(folder)).toEqual(["lost+found", "neighbour"]);
    const second = await filesystemSink({ folder, preallocate: true, volumeBytes: 64 * MIB });
    await expect(second.begin(20 * MIB)).rejects.toMatchObject(full);
    await second.discard();
    expect(await readdir(folder)).toEqual(["lost+found", "neighbour"]);
  });
});

describe.skipIf(noLoops)("sink of a device", () => {
  test("a device in use is TargetInUse; commit and discard give it back", async () => {
    const { device } = await makeLoop({ sizeBytes: 4 * MIB });
    const sink = await blockSink({ path: device });
    await expect(blockSink({ path: device })).rejects.toMatchObject({ code: "TargetInUse" });
    await sink.begin(MIB);
    await sink.commit();
    await sink.discard();
    const second = await blockSink({ path: device });
    await second.discard();
    await (await blockSink({ path: device })).discard();
  });

  for (const backing of ["disk", "ramfs"] as const) {
    test(`discard spoils both ends once begun, and touches nothing before (${backing})`, async () => {
      const { device } = await makeLoop({ sizeBytes: 8 * MIB, backing, blockBytes: 4096 });
      const before = await readAll(device, 8 * MIB);
      await (await blockSink({ path: device })).discard();
      expect((await readAll(device, 8 * MIB)).equals(before)).toBe(true);
      const sink = await blockSink({ path: device });
      await sink.begin(4 * MIB);
      await sink.write(0, Buffer.alloc(3 * MIB, 1));
      await sink.discard();
      const after = await readAll(device, 8 * MIB);
      expect(isZero(after, 0, MIB)).toBe(true);
      expect(isZero(after, 7 * MIB)).toBe(true);
    });
  }
});

describe("whether a target bears data", () => {
  test("files: by their size alone; folders always", async () => {
    const folder = await makeFolder();
    expect(await bearsData(join(folder, "absent"))).toBe(false);
    await writeFile(join(folder, "empty"), "");
    expect(await bearsData(join(folder, "empty"))).toBe(false);
    await writeFile(join(folder, "sparse"), "");
    await truncate(join(folder, "sparse"), MIB);
    expect(await bearsData(join(folder, "sparse"))).toBe(true);
    expect(await bearsData(folder)).toBe(true);
  });

  const places: [string, number | undefined, boolean][] = [
    ["nothing", undefined, false],
    ["its first byte", 0, true],
    ["its last byte", 8 * MIB - 1, true],
    ["only its middle", 4 * MIB, false],
  ];
  for (const [name, at, wanted] of places) {
    test.skipIf(noLoops)(`a device that bears ${name}`, async () => {
      const { device } = await makeLoop({ sizeBytes: 8 * MIB, fill: "zeros" });
      if (at !== undefined) {
        const handle = await open(device, "r+");
        await handle.write(Buffer.from([1]), 0, 1, at);
        await handle.close();
      }
      expect(await bearsData(device)).toBe(wanted);
    });
  }
});
