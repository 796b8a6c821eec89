// The staged road's last step: qemu-img converts into what a sink lent, and the disk is the image, byte for byte.
import { execFile } from "node:child_process";
import { open, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { findTool } from "../../../src/datapath/child.ts";
import { convertToRaw } from "../../../src/datapath/qemu-img.ts";
import { blockSink, filesystemSink } from "../../../src/datapath/sinks/index.ts";
import { isZero, MIB } from "../../../src/datapath/sinks/zero-blocks.ts";
import type { Sink } from "../../../src/datapath/types.ts";
import { makeExt4, makeFolder, makeLoop, noLoops } from "../../support/loop.ts";
import { allowedBytesOf, makeSparseImage } from "../../support/sparse-image.ts";

const run = promisify(execFile);
const SIZE = 64 * MIB;
const image = makeSparseImage(30 * MIB + 5 * 512, 220, 5);

async function makeQcow2(...options: string[]): Promise<string> {
  const folder = await makeFolder();
  await writeFile(join(folder, "image.raw"), image);
  const path = join(folder, "image,with=odd name.qcow2");
  await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", ...options, join(folder, "image.raw"), path]);
  return path;
}

interface Stand {
  sink: Sink;
  path: string;
  allocatedBytes: () => Promise<number>;
}
const stands: { name: string; make: (preallocate: boolean) => Promise<Stand>; punches: boolean }[] = [
  {
    name: "an ext4 volume",
    punches: true,
    make: async (preallocate) => {
      const folder = await makeExt4(96 * MIB);
      const path = join(folder, "disk.img");
      const sink = await filesystemSink({ folder, preallocate });
      return { sink, path, allocatedBytes: async () => (await stat(path)).blocks * 512 };
    },
  },
  ...([512, 4096] as const).flatMap((blockBytes) =>
    (["disk", "ramfs"] as const).map((backing) => ({
      name: `a device of ${blockBytes} on ${backing}`,
      punches: backing === "disk",
      make: async (preallocate: boolean) => {
        const loop = await makeLoop({ sizeBytes: SIZE, blockBytes, backing });
        const sink = await blockSink({ path: loop.device, preallocate });
        return { sink, path: loop.device, allocatedBytes: loop.allocatedBytes };
      },
    })),
  ),
];

async function expectImage(path: string, sizeBytes: number): Promise<void> {
  const handle = await open(path, "r");
  try {
    const disk = Buffer.alloc(sizeBytes);
    for (let at = 0; at < sizeBytes; at += MIB) await handle.read(disk, at, Math.min(MIB, sizeBytes - at), at);
    expect(disk.compare(image, 0, image.length, 0, image.length)).toBe(0);
    expect(isZero(disk, image.length)).toBe(true);
  } finally {
    await handle.close();
  }
}

const absent = noLoops ?? (findTool("qemu-img") ? undefined : "qemu-img is not installed (package qemu-utils)");

for (const { name, make, punches } of stands) {
  describe.skipIf(absent)(`convert into ${name}`, () => {
    const kinds: [string, string[], boolean][] = [
      ["plain", [], false],
      ["compressed", ["-c"], false],
      ["old, with clusters of 512 bytes", ["-o", "compat=0.10,cluster_size=512"], false],
      ["preallocated", [], true],
    ];
    for (const [kind, options, preallocate] of kinds) {
      test(kind, async () => {
        const sourcePath = await makeQcow2(...options);
        const { sink, path, allocatedBytes } = await make(preallocate);
        const loan = await sink.lend(image.length);
        expect(loan.readsAsZeros).toBe(true);
        const seen: number[] = [];
        await convertToRaw({
          sourcePath,
          driver: "qcow2",
          target: { path: loan.path, kind: sink.kind },
          virtualSizeBytes: image.length,
          preallocate,
          onProgress: (fraction) => seen.push(fraction),
        });
        const { sizeBytes } = await sink.commit();
        expect(sizeBytes).toBe(sink.kind === "block" ? SIZE : image.length);
        await expectImage(path, sizeBytes);
        expect(seen.at(-1)).toBe(1);
        if (punches && !preallocate) expect(await allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(image));
        if (punches && preallocate) expect(await allocatedBytes()).toBeGreaterThanOrEqual(sizeBytes);
      });
    }
  });
}

describe.skipIf(absent)("convert that fails", () => {
  test("says that the target is full", async () => {
    const sourcePath = await makeQcow2();
    const folder = await makeExt4(16 * MIB);
    const sink = await filesystemSink({ folder, volumeBytes: SIZE });
    const loan = await sink.lend(image.length);
    await writeFile(join(folder, "neighbour"), Buffer.alloc(13 * MIB, 1));
    const target = { path: loan.path, kind: sink.kind };
    const act = convertToRaw({ sourcePath, driver: "qcow2", target, virtualSizeBytes: image.length });
    await expect(act).rejects.toMatchObject({
      code: "TargetFull",
      message: expect.stringContaining("no space left on device"),
    });
    await sink.discard();
    expect(await readdir(folder)).toEqual(["lost+found", "neighbour"]);
  });

  test("says what qemu-img said, of an image that is none", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "image"), Buffer.alloc(MIB, 1));
    const sink = await filesystemSink({ folder });
    const target = { path: (await sink.lend(MIB)).path, kind: sink.kind };
    const act = convertToRaw({ sourcePath: join(folder, "image"), driver: "qcow2", target, virtualSizeBytes: MIB });
    await expect(act).rejects.toMatchObject({
      code: "ConversionFailed",
      message: expect.stringMatching(/^could not convert image to raw: .*not in qcow2 format/),
    });
    await sink.discard();
  });

  test("ends when aborted, with the reason", async () => {
    const folder = await makeFolder();
    const stop = new AbortController();
    const sink = await filesystemSink({ folder });
    const sourcePath = await makeQcow2();
    const target = { path: (await sink.lend(image.length)).path, kind: sink.kind };
    const act = convertToRaw({
      sourcePath,
      driver: "qcow2",
      target,
      virtualSizeBytes: image.length,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await expect(act).rejects.toThrow("enough");
    await sink.discard();
    expect(await readdir(folder)).toEqual([]);
  });
});
