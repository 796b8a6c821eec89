// Resumable uploads of random qcow2 images into servers that are killed at random times: the disk is qemu's, whatever happens. A
// sample; many more with CDI_TEST_LONG=1. And one of a single long request.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { randomFrom, randomQcow2 } from "../../support/random-qcow2.ts";
import { makePod, MiB } from "../importer/world.ts";
import { useUploads } from "./uploads.ts";
import { ask, type Ask, type Said, type Server, type StartOptions } from "./world.ts";

const { folder, serve } = useUploads();
const root = "/v1beta1/upload-tus";
const device = "/dev/cdi-block-volume";
const seeds = Array.from({ length: process.env["CDI_TEST_LONG"] ? 30 : 4 }, (_, index) => 900 + index);

const tus = (server: Server, method: string, path: string, more: Ask = {}): Promise<Said> =>
  ask(server, { ...more, method, path, headers: { "tus-resumable": "1.0.0", ...more.headers } });

test.for(seeds)("seed %i", { timeout: 240_000 }, async (seed) => {
  const next = randomFrom(seed);
  const { image, virtualBytes } = randomQcow2(seed);
  const source = join(folder(), `${seed}.qcow2`);
  const wanted = join(folder(), `${seed}.img`);
  await writeFile(source, image);
  execFileSync("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", source, wanted]);
  const isDevice = seed % 2 === 1;
  const roomBytes = Math.ceil(virtualBytes / MiB) * MiB;
  const pod = await makePod(isDevice ? { blockBytes: roomBytes, checkpoint: true } : {});
  const options: StartOptions = {
    pod,
    config: { imageSize: String(2 * roomBytes), ...(isDevice ? { destination: device } : {}) },
  };
  try {
    let server = await serve(options);
    const made = await tus(server, "POST", root, { headers: { "upload-length": image.length } });
    const path = new URL(made.headers.location ?? "", `https://upload${root}`).pathname;
    let kills = 0;
    for (let isDone = false; !isDone;) {
      const head = await tus(server, "HEAD", path);
      expect(head.status).toBe(200);
      const at = Number(head.headers["upload-offset"]);
      const length = Math.min(image.length - at, 1 + next(Math.ceil(image.length / 3)));
      const headers = { "content-type": "application/offset+octet-stream", "upload-offset": at };
      const sending = tus(server, "PATCH", path, { headers, body: image.subarray(at, at + length) }).catch(
        () => undefined, // killed below
      );
      // A server that has taken the last bytes may be done with its disk, and know the upload no more.
      if (kills < 4 && next(2) === 0 && at + length < image.length) {
        kills += 1;
        // Any moment is one of those that are meant.
        await Promise.race([sending, sleep(next(60))]);
        server.kill("SIGKILL");
        await server.ended;
        await sending;
        server = await serve(options);
        continue;
      }
      const said = await sending;
      expect(said?.status, said?.text).toBe(204);
      isDone = at + length === image.length;
    }
    expect(await server.ended).toMatchObject({ exit: 0 });
    const disk = await readFile(pod.at(isDevice ? device : "/data/disk.img"));
    expect(disk.subarray(0, virtualBytes).equals(await readFile(wanted))).toBe(true);
    expect(disk.subarray(virtualBytes).equals(Buffer.alloc(disk.length - virtualBytes))).toBe(true);
  } finally {
    await pod.remove();
  }
});

test("a qcow2 in one request is gone on with from the middle, after a kill", { timeout: 120_000 }, async () => {
  const disk = randomBytes(64 * MiB);
  const [raw, source] = [join(folder(), "one.img"), join(folder(), "one.qcow2")];
  await writeFile(raw, disk);
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, source]);
  const image = await readFile(source);
  const pod = await makePod();
  try {
    const first = await serve({ pod });
    const made = await tus(first, "POST", root, { headers: { "upload-length": image.length } });
    const path = new URL(made.headers.location ?? "", `https://upload${root}`).pathname;
    const half = image.length / 2;
    const body = new Readable({ read: () => undefined });
    body.push(image.subarray(0, half));
    const headers = { "content-type": "application/offset+octet-stream", "upload-offset": 0 };
    const length = { "content-length": image.length };
    const sending = tus(first, "PATCH", path, { headers: { ...headers, ...length }, body }).catch(() => undefined);
    const savedTo = async (): Promise<number> => {
      const text = await readFile(pod.at("/data/disk.img.part.checkpoint"), "latin1").catch(() => "");
      return Number(/"inputBytes":(\d+)/.exec(text)?.[1] ?? 0);
    };
    // Every 2 MiB one is written, and what came last may have been on its way.
    await expect.poll(savedTo, { timeout: 30_000 }).toBeGreaterThan(half - 8 * MiB);
    first.kill("SIGKILL");
    await first.ended;
    await sending;
    const second = await serve({ pod });
    const at = Number((await tus(second, "HEAD", path)).headers["upload-offset"]);
    expect(at).toBeGreaterThan(half - 8 * MiB);
    const rest = { headers: { ...headers, "upload-offset": at }, body: image.subarray(at) };
    expect((await tus(second, "PATCH", path, rest)).status).toBe(204);
    expect(await second.ended).toMatchObject({ exit: 0 });
    expect((await readFile(pod.at("/data/disk.img"))).subarray(0, disk.length).equals(disk)).toBe(true);
  } finally {
    await pod.remove();
  }
});
