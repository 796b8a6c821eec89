// SIGKILL of the real importer at three points: started again over the same volumes it goes on where it was. What is fetched
// twice is counted in the server's own record of bytes sent.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { sentBytes, startHttpServer, type HttpTestServer } from "../../support/http-server.ts";
import { makeRawImage } from "../../support/images.ts";
import { makeLoop, noLoops } from "../../support/loop.ts";
import { anEnv, ensureBuilt, makeFolder, makePod, MiB, startImporter, type Pod } from "./world.ts";

const diskBytes = 64 * MiB;
const raw = makeRawImage(diskBytes, 60, 5, 2 * MiB);
const files: Record<string, Buffer> = { "/disk.img": raw };
let folder: { path: string; remove: () => Promise<void> };

/** One after another, as pigz -i, pzstd and xz -T write them. */
const inParts = (compress: (part: Buffer) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: 16 }, (_, part) => compress(raw.subarray(part * 4 * MiB, (part + 1) * 4 * MiB))));

beforeAll(async () => {
  ensureBuilt();
  folder = await makeFolder();
  const path = join(folder.path, "disk.img");
  await writeFile(path, raw);
  const convert = (...more: string[]): void =>
    void execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", ...more]);
  convert(path, `${path}.qcow2`);
  convert("-c", path, `${path}.c.qcow2`);
  execFileSync("xz", ["-0", "-k", "-T2", "--block-size=4MiB", path]);
  files["/plain.qcow2"] = await readFile(`${path}.qcow2`);
  files["/compressed.qcow2"] = await readFile(`${path}.c.qcow2`);
  files["/blocks.img.xz"] = await readFile(`${path}.xz`);
  files["/members.img.gz"] = inParts((part) => gzipSync(part, { level: 1 }));
  files["/frames.img.zst"] = inParts((part) => zstdCompressSync(part));
  files["/single.img.gz"] = gzipSync(raw, { level: 1 });
  files["/single.img.zst"] = zstdCompressSync(raw);
  execFileSync("sh", ["-c", `xz -0 -T1 -c ${path} > ${path}.single`]);
  files["/single.img.xz"] = await readFile(`${path}.single`);
}, 120_000);
afterAll(() => folder.remove());

const sumOf = (path: string): string =>
  `sha256:${createHash("sha256")
    .update(files[path] ?? raw)
    .digest("hex")}`;

interface Wish {
  path: string;
  share: number;
  pod: Pod;
  checksum?: string;
  server: HttpTestServer;
  /** What a checkpoint says of the place: default how far it is; only that it was begun; or there is none. */
  keeps?: "place" | "mark" | "nothing";
}

/** A checkpoint comes after 2 MiB, at the next end of a part of 4 MiB, and what a socket holds is no part of it. */
const behindBytes = 8 * MiB;

/** The source's bytes that the checkpoint speaks for; 0 where it says that there is no place to go on from. */
async function savedBytes(pod: Pod): Promise<number | undefined> {
  for (const path of ["/data/disk.img.part.checkpoint", "/checkpoint/checkpoint"]) {
    const text = await readFile(pod.at(path), "utf8").catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { inputBytes?: number }).inputBytes ?? 0;
  }
  return undefined;
}

/** Runs the importer until the server has sent so much of the file, and kills it when it has done its work up to there. */
async function killAt({ path, share, pod, checksum = "", server, keeps = "place" }: Wish): Promise<void> {
  const endBytes = Math.floor((files[path]?.length ?? 0) * share);
  server.faults = { cutAtByte: endBytes };
  const first = startImporter(pod, anEnv({ endpoint: server.url(path), imageSize: "128Mi", checksum }));
  const isDone = async (): Promise<boolean> => {
    if (sentBytes(server) < endBytes) return false;
    const saved = keeps === "nothing" ? endBytes : await savedBytes(pod);
    return saved !== undefined && (keeps === "mark" || saved >= endBytes - behindBytes);
  };
  await expect.poll(isDone, { timeout: 60_000, interval: 2 }).toBe(true);
  first.kill("SIGKILL");
  await first.ended;
  server.faults = {};
}

async function finish({ path, pod, checksum = "", server }: Wish): Promise<{ log: string }> {
  const ran = await startImporter(pod, anEnv({ endpoint: server.url(path), imageSize: "128Mi", checksum })).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { message: "Import Complete" } });
  return ran;
}

async function aPod(parts?: Parameters<typeof makePod>[0]): Promise<Pod> {
  const pod = await makePod(parts);
  onTestFinished(() => pod.remove());
  return pod;
}

async function expectDisk(pod: Pod): Promise<void> {
  const disk = await readFile(pod.at("/data/disk.img"));
  expect(disk.subarray(0, raw.length).equals(raw)).toBe(true);
  expect(disk.subarray(raw.length).every((byte) => byte === 0)).toBe(true);
  expect(await readdir(pod.at("/data"))).toEqual(["disk.img"]);
}

const roads = [
  "/disk.img",
  "/plain.qcow2",
  "/compressed.qcow2",
  "/blocks.img.xz",
  "/members.img.gz",
  "/frames.img.zst",
];
const rows = roads.flatMap((path) => {
  const all = [0.5, 0.7, 0.9].map((share, index) => ({ path, share, checksum: index === 1 ? "sha256" : "none" }));
  // The others end the same way for each place: two of them are for the long run.
  return path === "/disk.img" || process.env.CDI_TEST_LONG === "1" ? all : all.slice(1, 2);
});

describe("killed in the middle, started again in the same pod", () => {
  test.each(rows)(
    "$path at $share of it, checksum $checksum",
    { timeout: 60_000 },
    async ({ path, share, checksum }) => {
      const server = await startHttpServer({ files });
      const wish = { path, share, pod: await aPod(), server, checksum: checksum === "none" ? "" : sumOf(path) };
      await killAt(wish);
      const { log } = await finish(wish);
      await expectDisk(wish.pod);
      const file = files[path] ?? raw;
      expect(log).toContain("Resuming");
      expect(sentBytes(server) - file.length).toBeLessThan(file.length * 0.02 + 16 * MiB);
    },
  );

  test.each(["/single.img.gz", "/single.img.zst", "/single.img.xz"])(
    "%s has no place to go on from: all of it again, and it says so",
    { timeout: 60_000 },
    async (path) => {
      const server = await startHttpServer({ files });
      const wish = { path, share: 0.6, pod: await aPod(), server, keeps: "mark" } as const;
      await killAt(wish);
      const { log } = await finish(wish);
      await expectDisk(wish.pod);
      expect(log).toContain("Starting over");
    },
  );

  test(
    "twice, over the joints the wrong checksum is still told, and nothing is left",
    { timeout: 90_000 },
    async () => {
      const server = await startHttpServer({ files });
      const wish = { path: "/disk.img", pod: await aPod(), server, checksum: `sha256:${"0".repeat(64)}` };
      await killAt({ ...wish, share: 0.3 });
      await killAt({ ...wish, share: 0.5 });
      const ran = await startImporter(
        wish.pod,
        anEnv({ endpoint: server.url(wish.path), imageSize: "128Mi", checksum: wish.checksum }),
      ).ended;
      expect(ran.message).toMatchObject({ message: expect.stringContaining("checksum mismatch") });
      expect(await readdir(wish.pod.at("/data"))).toEqual([]);
    },
  );

  test("a changed file starts over and mixes nothing", { timeout: 60_000 }, async () => {
    const server = await startHttpServer({ files: { ...files } });
    const wish = { path: "/disk.img", share: 0.6, pod: await aPod(), server };
    await killAt(wish);
    const other = Buffer.from(raw).reverse();
    server.files[wish.path] = other;
    const { log } = await finish(wish);
    expect((await readFile(wish.pod.at("/data/disk.img"))).subarray(0, other.length).equals(other)).toBe(true);
    expect(log).not.toContain("Resuming");
  });

  test("another DataVolume's leftover is none of ours", { timeout: 60_000 }, async () => {
    const server = await startHttpServer({ files });
    const wish = { path: "/disk.img", share: 0.6, pod: await aPod(), server };
    await killAt(wish);
    const env = anEnv({ endpoint: server.url(wish.path), imageSize: "128Mi", ownerUid: "owner-2" });
    const ran = await startImporter(wish.pod, env).ended;
    expect(ran, ran.log).toMatchObject({ exit: 0 });
    expect(ran.log).not.toContain("Resuming");
    await expectDisk(wish.pod);
  });

  test("a checkpoint without its disk is of no use", { timeout: 60_000 }, async () => {
    const server = await startHttpServer({ files });
    const wish = { path: "/disk.img", share: 0.6, pod: await aPod(), server };
    await killAt(wish);
    expect(existsSync(wish.pod.at("/data/disk.img.part.checkpoint"))).toBe(true);
    await rm(wish.pod.at("/data/disk.img.part"));
    await finish(wish);
    await expectDisk(wish.pod);
  });

  test.skipIf(noLoops)("a block device goes on by what the pod's folder says", { timeout: 60_000 }, async () => {
    const server = await startHttpServer({ files });
    const { device, backingPath } = await makeLoop({ sizeBytes: 128 * MiB });
    const pod = await aPod({ blockBytes: 1, checkpoint: true });
    await rm(pod.at("/dev/cdi-block-volume"));
    execFileSync("ln", ["-s", device, pod.at("/dev/cdi-block-volume")]);
    const wish = { path: "/disk.img", share: 0.6, pod, server };
    await killAt(wish);
    const { log } = await finish(wish);
    expect(log).toContain("Resuming");
    expect(sentBytes(server) - raw.length).toBeLessThan(raw.length * 0.02 + 16 * MiB);
    const disk = await readFile(backingPath);
    expect(disk.subarray(0, raw.length).equals(raw)).toBe(true);
    expect(await readdir(pod.at("/checkpoint"))).toEqual([]);
  });

  test("without that folder it starts over", { timeout: 60_000 }, async () => {
    const server = await startHttpServer({ files });
    const wish = {
      path: "/disk.img",
      share: 0.6,
      pod: await aPod({ blockBytes: 128 * MiB }),
      server,
      keeps: "nothing",
    } as const;
    await killAt(wish);
    const { log } = await finish(wish);
    expect(log).not.toContain("Resuming");
    expect((await readFile(wish.pod.at("/dev/cdi-block-volume"))).subarray(0, raw.length).equals(raw)).toBe(true);
  });
});
