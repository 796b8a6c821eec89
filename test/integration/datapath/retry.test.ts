// A retry over a partial target succeeds, every time: a server never gets past a random byte, until the next import.
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { httpSource } from "../../../importer/sources/index.ts";
import { blockSink, filesystemSink, importImage, newProgress, type Sink } from "../../../src/datapath/index.ts";
import { faultOf } from "../../../src/lib/faults.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { startHttpServer } from "../../support/http-server.ts";
import { makeFolder, makeLoop, noLoops } from "../../support/loop.ts";
import { hastyClock } from "../../support/test-clock.ts";
import { runText } from "../../support/run-text.ts";
import { makeSparseImage, numbersFrom } from "../../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(6 * mib, 60, 21);
/** Of the target alone; the sample of `npm test` is the full count. */
const rounds = 100;

async function importOnce(url: string, sink: Sink, scratch: string): Promise<void> {
  const source = httpSource({
    url,
    headers: [],
    secretHeaders: [],
    ca: [],
    insecure: false,
    proxy: {},
    log: silentLog,
  });
  try {
    await importImage({
      source,
      sink,
      progress: newProgress(),
      log: silentLog,
      signal: new AbortController().signal,
      preallocate: false,
      clock: hastyClock,
      scratch: { dir: scratch, fileName: "tmpimage" },
    });
  } finally {
    await source.close();
  }
}

async function servedImages(folder: string): Promise<Record<string, Buffer>> {
  const raw = join(folder, "disk.raw");
  await writeFile(raw, image);
  await runText("qemu-img", ["convert", "-c", "-O", "qcow2", raw, join(folder, "disk.qcow2")]);
  await runText("gzip", ["-1", "-k", raw]);
  const read = async (name: string): Promise<Buffer> => await readFile(join(folder, name));
  return { "/disk.raw": image, "/disk.qcow2": await read("disk.qcow2"), "/disk.raw.gz": await read("disk.raw.gz") };
}

test(
  `a cut import is finished by the next one, ${rounds} of ${rounds} times, on a file system`,
  { timeout: 300_000 },
  async () => {
    const folder = await makeFolder();
    const files = await servedImages(folder);
    const target = join(folder, "target");
    await mkdir(target);
    const server = await startHttpServer({ files });
    const next = numbersFrom(77);
    const paths = Object.keys(files);
    for (let round = 0; round < rounds; round += 1) {
      const path = paths[round % paths.length] ?? "";
      server.faults = { cutAtByte: Math.floor(next() * (files[path]?.length ?? 0)) };
      const cut = importOnce(server.url(path), await filesystemSink({ folder: target, requestBytes: 8 * mib }), folder);
      expect(
        await cut.then(
          () => "finished",
          (cause: unknown) => faultOf(cause).code,
        ),
        `round ${round}`,
      ).toBe("SourceCut");
      expect(await readdir(target), `round ${round}`).toEqual([]);
      server.faults = {};
      await importOnce(server.url(path), await filesystemSink({ folder: target, requestBytes: 8 * mib }), folder);
      const disk = await readFile(join(target, "disk.img"));
      expect(disk.length).toBe(8 * mib);
      expect(disk.subarray(0, image.length).equals(image), `round ${round}`).toBe(true);
      await rm(join(target, "disk.img"));
    }
  },
);

test.skipIf(noLoops)(
  `a cut import is finished by the next one, ${rounds} of ${rounds} times, on a block device`,
  { timeout: 300_000 },
  async () => {
    const folder = await makeFolder();
    const files = await servedImages(folder);
    const { device, backingPath } = await makeLoop({ sizeBytes: 8 * mib, blockBytes: 4096 });
    const server = await startHttpServer({ files });
    const next = numbersFrom(78);
    const paths = Object.keys(files);
    for (let round = 0; round < rounds; round += 1) {
      const path = paths[round % paths.length] ?? "";
      server.faults = { cutAtByte: Math.floor(next() * (files[path]?.length ?? 0)) };
      const cut = importOnce(server.url(path), await blockSink({ path: device }), folder);
      expect(
        await cut.then(
          () => "finished",
          (cause: unknown) => faultOf(cause).code,
        ),
        `round ${round}`,
      ).toBe("SourceCut");
      server.faults = {};
      await importOnce(server.url(path), await blockSink({ path: device }), folder);
      const disk = await readFile(backingPath);
      expect(disk.subarray(0, image.length).equals(image), `round ${round}`).toBe(true);
      expect(disk.subarray(image.length).equals(Buffer.alloc(8 * mib - image.length)), `round ${round}`).toBe(true);
    }
  },
);
