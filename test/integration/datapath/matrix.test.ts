// Every kind of image under every compression into every kind of target, from a real nginx: the same bytes, and no more space
// than the data needs. The images are large enough for many clusters, and end inside one.
import { open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpSource } from "../../../importer/sources/index.ts";
import {
  blockSink,
  filesystemSink,
  findTool,
  importImage,
  newProgress,
  type Sink,
} from "../../../src/datapath/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { isZero } from "../../../src/datapath/sinks/zero-blocks.ts";
import { makeImages, wrappings, type ImageKind, type Images } from "../../support/images.ts";
import { makeExt4, makeFolder, makeLoop, noLoops, type AtEnd } from "../../support/loop.ts";
import { noNginx, startNginx } from "../../support/nginx.ts";
import { allowedBytesOf, dataBytesOf } from "../../support/sparse-image.ts";

const MIB = 1024 * 1024;
/** Virtual: not whole clusters of 64 KiB, and not whole blocks of 4 KiB either. */
const imageBytes = 128 * MIB + 75 * 512;
const targetBytes = 144 * MIB;
const kinds = ["raw", "iso", "qcow2-v2", "qcow2-v3", "qcow2-compressed"] as const satisfies ImageKind[];

interface Target {
  sink: Sink;
  /** To be read back. */
  path: string;
  /** Of the file, or of what lies behind the device; undefined where that tells nothing. */
  allocatedBytes?: () => Promise<number>;
}

const blockTarget = async (blockBytes: 512 | 4096, backing: "disk" | "ramfs"): Promise<Target> => {
  const { device, allocatedBytes } = await makeLoop({ sizeBytes: targetBytes, blockBytes, backing });
  const sink = await blockSink({ path: device });
  return backing === "ramfs" ? { sink, path: device } : { sink, path: device, allocatedBytes };
};
const targets: Readonly<Record<string, () => Promise<Target>>> = {
  Filesystem: async () => {
    const path = join(volume, "disk.img");
    await rm(path, { force: true });
    const sink = await filesystemSink({ folder: volume });
    return { sink, path, allocatedBytes: async () => (await stat(path)).blocks * 512 };
  },
  "Block 512": () => blockTarget(512, "disk"),
  "Block 4096": () => blockTarget(4096, "disk"),
  "Block without punch and discard": () => blockTarget(512, "ramfs"),
};
const cases = Object.keys(targets).flatMap((target) =>
  kinds.flatMap((kind) => wrappings.map((wrapping) => ({ target, kind, wrapping }))),
);

const absent =
  noLoops ?? noNginx ?? (findTool("qemu-img") ? undefined : "qemu-img is not installed (package qemu-utils)");

describe.skipIf(absent)(`the matrix${absent ? `: ${absent}` : ""}`, () => {
  let images: Images;
  let url: string;
  let scratch: string;
  const releases: (() => Promise<void>)[] = [];
  const atEnd: AtEnd = (release) => void releases.unshift(release);

  beforeAll(async () => {
    const folder = await makeFolder("cdi-images-", atEnd);
    images = await makeImages({
      folder,
      sizeBytes: imageBytes,
      extents: 300,
      longestExtentBytes: 160 * 1024,
      seed: 11,
    });
    for (const wrapping of wrappings) await Promise.all(kinds.map((kind) => images.file(kind, wrapping)));
    url = await startNginx(folder, atEnd);
    volume = await makeExt4(192 * MIB, atEnd);
    scratch = await makeFolder("cdi-scratch-", atEnd);
  }, 180_000);
  afterAll(async () => {
    for (const release of releases) await release();
  });

  test("the images are worth the trouble", () => {
    expect(imageBytes % (64 * 1024)).not.toBe(0);
    expect(dataBytesOf(images.raw)).toBeGreaterThanOrEqual(16 * MIB);
    expect(extentsOf(images.raw)).toBeGreaterThanOrEqual(200);
  });

  test.for(cases)("$kind, $wrapping, into $target", async ({ target, kind, wrapping }) => {
    const expected = images.expected(kind);
    const file = await images.file(kind, wrapping);
    const made = targets[target];
    if (!made) throw new Error(`no target ${target}`);
    const { sink, path, allocatedBytes } = await made();
    const source = httpSource({
      url: `${url}/${file.replace(/^.*\//, "")}`,
      headers: [],
      secretHeaders: [],
      ca: [],
      insecure: false,
      proxy: {},
      log: silentLog,
    });
    try {
      const done = await importImage({
        source,
        sink,
        progress: newProgress(),
        log: silentLog,
        signal: new AbortController().signal,
        preallocate: false,
        scratch: { dir: scratch, fileName: "tmpimage" },
      });
      expect(done).toMatchObject({
        kind: "done",
        format: kind.replace(/-.*/, ""),
        layers: wrapping === "plain" ? [] : [wrapping],
        virtualSizeBytes: imageBytes,
      });
      const { bytesRead } = done as { bytesRead: number };
      const { size } = await stat(file);
      // The tables of a qcow2 that can be read anywhere are read before the rest, and once more with it.
      const isPlanned = kind.startsWith("qcow2") && wrapping === "plain";
      expect(bytesRead).toBeGreaterThanOrEqual(size);
      expect(bytesRead).toBeLessThanOrEqual(isPlanned ? size * 1.01 : size);
    } finally {
      await source.close();
    }
    await expectDisk(path, expected, sink.kind === "block" ? targetBytes : imageBytes);
    if (allocatedBytes) expect(await allocatedBytes()).toBeLessThanOrEqual(allowedBytesOf(expected));
    expect(await readdir(scratch)).toEqual([]);
  });
});

/** The mounted ext4; each Filesystem case replaces its disk. */
let volume: string;

/** The image first, zeros behind it, up to the end. */
async function expectDisk(path: string, image: Buffer, sizeBytes: number): Promise<void> {
  const handle = await open(path, "r");
  const piece = Buffer.alloc(MIB);
  const wrong: string[] = [];
  try {
    let at = 0;
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, MIB, at);
      if (bytesRead === 0) break;
      const wanted = image.subarray(at, at + bytesRead);
      if (piece.compare(wanted, 0, wanted.length, 0, wanted.length) !== 0)
        wrong.push(`other bytes in the MiB at ${at}`);
      if (!isZero(piece, wanted.length, bytesRead - wanted.length))
        wrong.push(`no zeros behind the image in the MiB at ${at}`);
      at += bytesRead;
    }
    expect({ wrong, sizeBytes: at }).toEqual({ wrong: [], sizeBytes });
  } finally {
    await handle.close();
  }
}

/** Stretches of 4 KiB blocks that bear data. */
function extentsOf(image: Buffer): number {
  let extents = 0;
  let wasZero = true;
  for (let at = 0; at < image.length; at += 4096) {
    const isEmpty = isZero(image, at, Math.min(4096, image.length - at));
    if (wasZero && !isEmpty) extents += 1;
    wasZero = isEmpty;
  }
  return extents;
}
