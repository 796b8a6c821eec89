// The built importer as a pod runs it: settings in its environment, fixed paths under CDI_ROOT, a real web server.
import { createHash } from "node:crypto";
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  anEnv,
  ensureBuilt,
  makeFolder,
  makeImages,
  makePod,
  MiB,
  serveFolder,
  startImporter,
  type Images,
  type Pod,
  type WebServer,
} from "./world.ts";

let folder: { path: string; remove: () => Promise<void> };
let images: Images;
let server: WebServer;

beforeAll(async () => {
  ensureBuilt();
  folder = await makeFolder();
  images = await makeImages(folder.path);
  await writeFile(join(folder.path, "page.html"), `<!DOCTYPE html><html>${" ".repeat(1000)}</html>`);
  await writeFile(join(folder.path, "short.img"), "short");
  server = await serveFolder(folder.path);
});
afterAll(async () => {
  await server.close();
  await folder.remove();
});

async function aPod(parts?: Parameters<typeof makePod>[0]): Promise<Pod> {
  const pod = await makePod(parts);
  onTestFinished(() => pod.remove());
  return pod;
}
const at = (path: string): string => `${server.url}/${path}`;
/** What a request of 20 MiB leaves for the disk at an overhead of 0.06, in whole MiB (interfaces/importer.md 7.4 and 9). */
const grownBytes = 18 * MiB;
const complete = { scratchSpaceRequired: false, preallocationApplied: false, message: "Import Complete" };

/** What is to be seen of a finished import. */
async function expectDisk(pod: Pod, sizeBytes: number): Promise<void> {
  const disk = await readFile(pod.at("/data/disk.img"));
  expect(disk.length).toBe(sizeBytes);
  expect(disk.subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
  expect(disk.subarray(images.bytes.length).every((byte) => byte === 0)).toBe(true);
  expect(await readdir(pod.at("/data"))).toEqual(["disk.img"]);
}

test("raw into a Filesystem volume, grown to the request", async () => {
  const pod = await aPod();
  const ran = await startImporter(pod, anEnv({ endpoint: at("ranges/disk.img"), imageSize: "20Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  await expectDisk(pod, grownBytes);
  expect(ran.log).toContain("Successfully completed fsync(");
});

test("raw into a Block volume full of old bytes", async () => {
  const pod = await aPod({ blockBytes: 20 * MiB });
  const ran = await startImporter(pod, anEnv({ endpoint: at("plain/disk.img"), imageSize: "20Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  const disk = await readFile(pod.at("/dev/cdi-block-volume"));
  expect(disk.subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
  expect(disk.subarray(images.bytes.length).every((byte) => byte === 0)).toBe(true);
});

test("qcow2 needs no scratch", async () => {
  const pod = await aPod();
  const ran = await startImporter(pod, anEnv({ endpoint: at("ranges/disk.qcow2"), imageSize: "20Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  await expectDisk(pod, grownBytes);
});

test("a stream whose tables come too late asks for scratch and leaves nothing", async () => {
  const pod = await aPod();
  const ran = await startImporter(pod, anEnv({ endpoint: at("plain/late.qcow2"), imageSize: "20Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { ...complete, scratchSpaceRequired: true } });
  expect(await readdir(pod.at("/data"))).toEqual([]);
});

test("the same with scratch, which is empty afterwards", async () => {
  const pod = await aPod({ scratch: true });
  const ran = await startImporter(pod, anEnv({ endpoint: at("plain/late.qcow2"), imageSize: "20Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  await expectDisk(pod, grownBytes);
  expect(await readdir(pod.at("/scratch"))).toEqual([]);
});

test("preallocation is applied and told", async () => {
  const pod = await aPod();
  const ran = await startImporter(
    pod,
    anEnv({ endpoint: at("ranges/disk.img"), imageSize: "20Mi", preallocation: true }),
  ).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { ...complete, preallocationApplied: true } });
  const { blocks } = await stat(pod.at("/data/disk.img"));
  expect(blocks * 512).toBeGreaterThanOrEqual(grownBytes);
});

test("a blank disk", async () => {
  const pod = await aPod();
  const ran = await startImporter(pod, anEnv({ source: "none", imageSize: "20Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { preallocationApplied: false, message: "Import Complete" } });
  const { size, blocks } = await stat(pod.at("/data/disk.img"));
  expect({ size, blocks }).toEqual({ size: grownBytes, blocks: 0 });
});

test("a blank block device reads as zeros, and nothing is said", async () => {
  const pod = await aPod({ blockBytes: 2 * MiB });
  const ran = await startImporter(pod, anEnv({ source: "none", imageSize: "2Mi" })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: undefined });
});

describe("what goes wrong", () => {
  const right = (): string => createHash("sha256").update(images.bytes).digest("hex");
  test.each<{ when: string; env: () => Record<string, string>; exit: number; message: unknown; left?: string[] }>([
    {
      when: "404",
      env: () => anEnv({ endpoint: at("ranges/none.img"), imageSize: "20Mi" }),
      exit: 77,
      message: "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found",
    },
    {
      when: "too small",
      env: () => anEnv({ endpoint: at("ranges/disk.img"), imageSize: "8Mi" }),
      exit: 67,
      message: `Unable to process data: Unable to convert source data to target format: virtual image size ${16 * MiB} is larger than the reported available storage ${8 * MiB}. A larger PVC is required`,
    },
    {
      when: "too small, told to v1.56",
      env: () => {
        const {
          CACHE_MODE: _cache,
          IMPORTER_CHECKSUM: _sum,
          ...old
        } = anEnv({ endpoint: at("ranges/disk.img"), imageSize: "8Mi" });
        return old;
      },
      exit: 67,
      message: `Unable to process data: Unable to convert source data to target format: Virtual image size ${16 * MiB} is larger than the reported available storage ${8 * MiB}. A larger PVC is required.`,
    },
    {
      when: "scratch needed, told to v1.56",
      env: () => {
        const {
          CACHE_MODE: _cache,
          IMPORTER_CHECKSUM: _sum,
          ...old
        } = anEnv({ endpoint: at("plain/late.qcow2"), imageSize: "20Mi" });
        return old;
      },
      exit: 42,
      message: undefined,
    },
    {
      when: "a wrong checksum",
      env: () => anEnv({ endpoint: at("ranges/disk.img"), imageSize: "20Mi", checksum: `sha256:${"0".repeat(64)}` }),
      exit: 0,
      message: {
        message: expect.stringMatching(
          new RegExp(`^checksum validation failed: checksum mismatch: expected sha256:0{64}, calculated sha256:`),
        ),
      },
    },
    {
      when: "a web page",
      env: () => anEnv({ endpoint: at("ranges/page.html"), imageSize: "20Mi" }),
      exit: 68,
      message: expect.stringMatching(/^Unable to process data: /),
    },
    {
      when: "fewer than 512 bytes",
      env: () => anEnv({ endpoint: at("ranges/short.img"), imageSize: "20Mi" }),
      exit: 73,
      message: expect.stringContaining("could not process image header"),
    },
    {
      when: "a connection cut in the middle",
      env: () => anEnv({ endpoint: at("cut/disk.img"), imageSize: "20Mi" }),
      exit: 86,
      message: expect.stringMatching(
        /^Unable to process data: Unable to transfer source data to target file: failed to pull image: /,
      ),
      // What the next start of the container goes on from.
      left: ["disk.img.part", "disk.img.part.checkpoint"],
    },
    {
      when: "nobody listens",
      env: () => anEnv({ endpoint: "http://127.0.0.1:1/disk.img", imageSize: "20Mi" }),
      exit: 85,
      message: expect.stringMatching(/^Unable to connect to http data source: /),
    },
    {
      when: "an unknown source",
      env: () => anEnv({ source: "glance", endpoint: at("x"), imageSize: "20Mi" }),
      exit: 66,
      message: "Unknown data source: glance",
    },
    {
      when: "blank and archive",
      env: () => anEnv({ source: "none", contentType: "archive", imageSize: "20Mi" }),
      exit: 65,
      message: "Cannot create empty disk with content type archive",
    },
    {
      when: "node pull as the registry's own source: what a node pulled comes as http from a server beside us",
      env: () => anEnv({ source: "registry", pullMethod: "node", endpoint: "docker://h/i", imageSize: "20Mi" }),
      exit: 65,
      message: "Unable to process data: pull method node is not read from source registry",
    },
    {
      when: "an archive by node pull",
      env: () => anEnv({ endpoint: at("x"), contentType: "archive", readyFile: "/shared/ready", imageSize: "20Mi" }),
      exit: 65,
      message: "Unable to process data: content type archive is not read by pull method node",
    },
    {
      when: "settings that cannot be read",
      env: () => ({ ...anEnv({ endpoint: at("ranges/disk.img"), imageSize: "lots" }), PREALLOCATION: "perhaps" }),
      exit: 65,
      message: expect.stringMatching(/PREALLOCATION.*IMPORTER_IMAGE_SIZE/),
    },
  ])("$when", async ({ env, exit, message, left = [] }) => {
    const pod = await aPod();
    const ran = await startImporter(pod, env()).ended;
    expect(ran, ran.log).toMatchObject({ exit });
    expect(ran.message).toEqual(message);
    expect((await readdir(pod.at("/data"))).toSorted()).toEqual(left);
  });

  test("the right checksum passes", async () => {
    const pod = await aPod();
    const checksum = `SHA256:${right().toUpperCase()}`;
    const ran = await startImporter(pod, anEnv({ endpoint: at("ranges/disk.img"), imageSize: "20Mi", checksum })).ended;
    expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  });

  test("a retry over the leftovers of a killed one succeeds", async () => {
    const pod = await aPod();
    const slow = startImporter(pod, anEnv({ endpoint: at("slow/disk.img"), imageSize: "20Mi" }));
    await untilGrown(pod.at("/data/disk.img.part"));
    slow.kill("SIGKILL");
    await slow.ended;
    // On a slow machine a checkpoint too: it is of another source than the next one.
    expect(await readdir(pod.at("/data"))).toContain("disk.img.part");
    await truncate(pod.at("/data/disk.img.part"), 30 * MiB);
    const ran = await startImporter(pod, anEnv({ endpoint: at("ranges/disk.img"), imageSize: "20Mi" })).ended;
    expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
    await expectDisk(pod, grownBytes);
  });

  test("SIGTERM ends it politely, with nothing left", async () => {
    const pod = await aPod();
    const slow = startImporter(pod, anEnv({ endpoint: at("slow/disk.img"), imageSize: "20Mi" }));
    await untilGrown(pod.at("/data/disk.img.part"));
    slow.kill("SIGTERM");
    const ran = await slow.ended;
    expect(ran, ran.log).toMatchObject({ exit: 1, message: expect.stringContaining("stopped by SIGTERM") });
    expect(await readdir(pod.at("/data"))).toEqual([]);
  });
});

/** Waits until the file has blocks on the disk. */
async function untilGrown(path: string): Promise<void> {
  const until = Date.now() + 20_000;
  for (;;) {
    const found = await stat(path).catch(() => undefined);
    if (found && found.blocks > 0) return;
    if (Date.now() > until) throw new Error(`${path} did not grow`);
    await new Promise((done) => setTimeout(done, 10));
  }
}
