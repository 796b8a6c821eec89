// Resumable uploads on the server: the protocol's words, drops, a killed server, and what is read again afterwards.
import { execFileSync } from "node:child_process";
import { open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { withLateTable } from "../../support/late-tables.ts";
import { makePod, MiB } from "../importer/world.ts";
import { useUploads } from "./uploads.ts";
import { ask, diskOf, openConnection, type Ask, type Said, type Server, type StartOptions } from "./world.ts";

const { images, qcow2, vmdk, folder, serve, expectDone } = useUploads();
let squeezed = Buffer.alloc(0);
beforeAll(async () => {
  const path = join(folder(), "squeezed.qcow2");
  execFileSync("qemu-img", ["convert", "-c", "-f", "raw", "-O", "qcow2", images().raw, path]);
  squeezed = await readFile(path);
});
const spoken = { "tus-resumable": "1.0.0" };
const root = "/v1beta1/upload-tus";
const octets = "application/offset+octet-stream";

const tus = (server: Server, method: string, path: string, more: Ask = {}): Promise<Said> =>
  ask(server, { ...more, method, path, headers: { ...spoken, ...more.headers } });
async function create(server: Server, bytes: number, headers: Record<string, string> = {}): Promise<string> {
  const said = await tus(server, "POST", root, { headers: { "upload-length": bytes, ...headers } });
  expect(said.status).toBe(201);
  return new URL(said.headers.location ?? "", `https://upload${root}`).pathname;
}
const patch = (server: Server, path: string, offset: number, body: Buffer): Promise<Said> =>
  tus(server, "PATCH", path, { headers: { "content-type": octets, "upload-offset": offset }, body });
async function offsetOf(server: Server, path: string): Promise<number> {
  const said = await tus(server, "HEAD", path);
  expect(said.status).toBe(200);
  return Number(said.headers["upload-offset"]);
}
/** A PATCH that breaks off after so many bytes of the length it told. */
async function brokenPatch(server: Server, path: string, offset: number, body: Buffer, sentBytes: number) {
  const socket = await openConnection(server);
  const head = [
    `PATCH ${path} HTTP/1.1`,
    "Host: upload",
    "Tus-Resumable: 1.0.0",
    `Content-Type: ${octets}`,
    `Upload-Offset: ${offset}`,
    `Content-Length: ${body.length}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await new Promise((sent) => socket.write(body.subarray(0, sentBytes), sent));
  socket.destroy();
}
/** Sends the rest in chunks. @returns the last answer and the bytes sent */
async function sendRest(server: Server, path: string, bytes: Buffer, chunk: number) {
  let sent = 0;
  for (let at = await offsetOf(server, path); ;) {
    const piece = bytes.subarray(at, at + chunk);
    const said = await patch(server, path, at, piece);
    sent += piece.length;
    at += piece.length;
    if (at >= bytes.length || said.status !== 204) return { said, sent };
    expect(said.headers["upload-offset"]).toBe(String(at));
  }
}

describe("the protocol", () => {
  test("discovery, and what is refused", async () => {
    const server = await serve();
    const found = await ask(server, { method: "OPTIONS", path: root });
    expect(found).toMatchObject({
      status: 204,
      headers: { ...spoken, "tus-version": "1.0.0", "tus-extension": "creation,termination,expiration" },
    });
    expect(await ask(server, { path: root, headers: { "upload-length": 1 } })).toMatchObject({
      status: 412,
      headers: { "tus-version": "1.0.0" },
    });
    expect((await tus(server, "POST", root)).status).toBe(400);
    expect((await tus(server, "POST", root, { headers: { "upload-length": "-1" } })).status).toBe(400);
    expect((await tus(server, "POST", root, { headers: { "upload-defer-length": "1" } })).status).toBe(400);
    expect((await tus(server, "GET", `${root}/0123456789abcdef`)).status).toBe(405);
    expect((await tus(server, "HEAD", `${root}/0123456789abcdef`)).status).toBe(404);
    const path = await create(server, 4 * MiB);
    expect(await tus(server, "HEAD", path)).toMatchObject({
      status: 200,
      headers: { "upload-offset": "0", "upload-length": String(4 * MiB), "cache-control": "no-store" },
    });
    expect((await patch(server, path, 1, Buffer.alloc(8))).status).toBe(409);
    expect((await patch(server, path, 0, Buffer.alloc(4 * MiB + 1))).status).toBe(413);
    const headers = { "content-type": "application/octet-stream", "upload-offset": 0 };
    expect((await tus(server, "PATCH", path, { headers, body: Buffer.alloc(8) })).status).toBe(415);
    expect(await offsetOf(server, path)).toBe(0);
  });

  test("while one is open every other way in is 503; given up, the place is free", async () => {
    const server = await serve();
    const path = await create(server, images().bytes.length);
    expect((await patch(server, path, 0, images().bytes.subarray(0, 3 * MiB))).status).toBe(204);
    expect((await ask(server, { body: images().bytes })).status).toBe(503);
    expect((await tus(server, "POST", root, { headers: { "upload-length": 8 } })).status).toBe(503);
    expect((await tus(server, "DELETE", path)).status).toBe(204);
    expect((await tus(server, "HEAD", path)).status).toBe(404);
    expect(await readdir(server.pod.at("/data"))).toEqual([]);
    expect((await ask(server, { body: images().bytes })).status).toBe(200);
    await expectDone(server);
  });

  test("an image that needs scratch space and has none: the client hears it, and the controller too", async () => {
    const server = await serve();
    const path = await create(server, vmdk().length);
    expect((await patch(server, path, 0, vmdk())).status).toBe(503);
    expect(await server.ended).toMatchObject({ exit: 0, message: { scratchSpaceRequired: true } });
    expect(await readdir(server.pod.at("/data"))).toEqual([]);
  });

  test("an image that is refused says why at the request that shows it, and the next try succeeds", async () => {
    const server = await serve();
    const page = Buffer.from(`<!DOCTYPE html><html>${" ".repeat(80_000)}</html>`);
    const path = await create(server, page.length);
    expect(await patch(server, path, 0, page)).toMatchObject({
      status: 400,
      text: expect.stringContaining("the source is an HTML page, not a disk image") as string,
    });
    expect((await tus(server, "HEAD", path)).status).toBe(404);
    const named = { "upload-metadata": `filename ${Buffer.from("disk.qcow2").toString("base64")}` };
    const wrong = await create(server, MiB, named);
    expect((await patch(server, wrong, 0, Buffer.alloc(MiB, 7))).text).toContain("the name ends in .qcow2");
    // Of a plain POST 500; a client of this route would send it for ever.
    const cut = gzipSync(images().bytes).subarray(0, 300_000);
    expect(await patch(server, await create(server, cut.length), 0, cut)).toEqual(
      expect.objectContaining({ status: 400, text: expect.stringContaining("unable to decompress gz") as string }),
    );
    const large = Buffer.alloc(65 * MiB, 1);
    const tooLarge = await create(server, large.length);
    expect(await patch(server, tooLarge, 0, large.subarray(0, 40 * MiB))).toMatchObject({
      status: 400,
      text: expect.stringContaining("virtual image size 68157440 is larger than") as string,
    });
    const again = await create(server, images().bytes.length);
    expect((await sendRest(server, again, images().bytes, 5 * MiB)).said.status).toBe(204);
    await expectDone(server);
  });
});

describe("drops", () => {
  test.each([
    { kind: "raw", bytes: () => images().bytes, scratch: false },
    { kind: "qcow2", bytes: () => qcow2(), scratch: true },
    { kind: "gz", bytes: () => gzipSync(images().bytes), scratch: false },
  ])("five drops in a $kind image: the data path waits, and nothing is sent twice", async ({ bytes, scratch }) => {
    const server = await serve({ scratch });
    const whole = bytes();
    const path = await create(server, whole.length);
    const step = Math.floor(whole.length / 6);
    let at = 0;
    for (let drop = 0; drop < 5; drop += 1) {
      await brokenPatch(server, path, at, whole.subarray(at), step);
      const offset = await offsetOf(server, path);
      expect(offset).toBeGreaterThanOrEqual(at);
      expect(offset).toBeLessThanOrEqual(at + step);
      at = offset;
    }
    const { said } = await sendRest(server, path, whole, whole.length);
    expect(said.status).toBe(204);
    await expectDone(server);
  });
});

describe("a server that is killed", () => {
  const chunk = 4 * MiB;
  /** Another server on the same volume. */
  const restart = async (before: Server, how: NodeJS.Signals, options: StartOptions): Promise<Server> => {
    before.kill(how);
    await before.ended;
    return await serve({ ...options, pod: before.pod });
  };

  const device = "/dev/cdi-block-volume";
  const kinds = [
    { kind: "raw", bytes: () => images().bytes, part: 4 },
    { kind: "qcow2", bytes: () => qcow2(), part: 5 },
    { kind: "compressed qcow2", bytes: () => squeezed, part: 5 },
    { kind: "qcow2 whose table comes last", bytes: () => withLateTable(qcow2(), 0), part: 5 },
  ];
  const rows = kinds.flatMap((row) => [
    { ...row, how: "SIGKILL" as const, on: "a file" },
    { ...row, how: "SIGTERM" as const, on: "a device" },
  ]);

  test.each(rows)("$kind on $on, $how: at most one chunk is sent again", async ({ bytes, part, how, on }) => {
    const isDevice = on === "a device";
    const pod = await makePod(isDevice ? { blockBytes: 64 * MiB, checkpoint: true } : {});
    const options: StartOptions = { pod, ...(isDevice ? { config: { destination: device } } : {}) };
    try {
      const first = await serve(options);
      const whole = bytes();
      const step = Math.ceil(whole.length / part);
      const path = await create(first, whole.length);
      for (let at = 0; at < 2 * step; at += step) {
        expect((await patch(first, path, at, whole.subarray(at, at + step))).status).toBe(204);
      }
      await brokenPatch(first, path, 2 * step, whole.subarray(2 * step), step / 2);
      const second = await restart(first, how, options);
      if (!isDevice) expect(await readdir(pod.at("/data"))).not.toContain("disk.img");
      const offset = await offsetOf(second, path);
      expect(offset).toBeGreaterThan(2 * step - 2 ** 16);
      expect(offset).toBeLessThanOrEqual(2 * step + step / 2);
      expect((await ask(second, { body: whole })).status).toBe(503);
      const third = await restart(second, how, options);
      const { said, sent } = await sendRest(third, path, whole, step);
      expect(said.status).toBe(204);
      expect(sent).toBeLessThan(whole.length - step);
      if (!isDevice) return await expectDone(third);
      expect(await third.ended).toMatchObject({ exit: 0 });
      const disk = await readFile(pod.at(device));
      const { bytes: wanted } = images();
      expect(disk.subarray(0, wanted.length).equals(wanted)).toBe(true);
      expect(disk.subarray(wanted.length).equals(Buffer.alloc(disk.length - wanted.length))).toBe(true);
      expect(await readdir(pod.at("/checkpoint"))).toEqual([]);
    } finally {
      await pod.remove();
    }
  });

  test("all is there when it is killed: the next one finishes the disk by itself", async () => {
    const pod = await makePod();
    try {
      const first = await serve({ pod });
      const { bytes } = images();
      const path = await create(first, bytes.length);
      const last = bytes.length - 1000;
      expect((await patch(first, path, 0, bytes.subarray(0, last))).status).toBe(204);
      first.kill("SIGSTOP");
      const text = await readFile(pod.at("/data/disk.img.part.checkpoint"), "utf8");
      first.kill("SIGKILL");
      await first.ended;
      const part = await open(pod.at("/data/disk.img.part"), "r+");
      await part.write(bytes.subarray(last), 0, 1000, last);
      await part.close();
      const whole = { ...(JSON.parse(text) as object), inputBytes: bytes.length, outputBytes: bytes.length };
      await writeFile(pod.at("/data/disk.img.part.checkpoint"), JSON.stringify(whole));
      await expectDone(await serve({ pod }));
    } finally {
      await pod.remove();
    }
  });

  test.each([
    ["is gone", () => undefined],
    ["is another's", () => "{}"],
    ["is of a pass that makes no sense", (text: string) => text.slice(0, -9)],
  ])("a checkpoint that %s: from 0 again, and right", async (_, spoil) => {
    const pod = await makePod();
    try {
      const first = await serve({ pod });
      const whole = qcow2();
      const half = Math.floor(whole.length / 2);
      const path = await create(first, whole.length);
      expect((await patch(first, path, 0, whole.subarray(0, half))).status).toBe(204);
      first.kill("SIGKILL");
      await first.ended;
      const place = pod.at("/data/disk.img.part.checkpoint");
      const text = spoil(await readFile(place, "latin1"));
      await (text === undefined ? rm(place) : writeFile(place, text, "latin1"));
      const second = await serve({ pod });
      expect(await offsetOf(second, path)).toBe(0);
      expect((await sendRest(second, path, whole, half)).said.status).toBe(204);
      await expectDone(second);
    } finally {
      await pod.remove();
    }
  });

  test("what lay behind the safe bytes does not show through the zeros of the image", async () => {
    const pod = await makePod();
    try {
      const first = await serve({ pod });
      const bytes = Buffer.concat([randomBytes(2 * chunk), Buffer.alloc(2 * chunk)]);
      const path = await create(first, bytes.length);
      expect((await patch(first, path, 0, bytes.subarray(0, chunk))).status).toBe(204);
      first.kill("SIGKILL");
      await first.ended;
      const part = await open(pod.at("/data/disk.img.part"), "r+");
      await part.write(randomBytes(3 * chunk), 0, 3 * chunk, chunk);
      await part.close();
      const second = await serve({ pod });
      expect((await sendRest(second, path, bytes, chunk)).said.status).toBe(204);
      expect(await second.ended).toMatchObject({ exit: 0 });
      expect((await diskOf(second))?.subarray(0, bytes.length).equals(bytes)).toBe(true);
    } finally {
      await pod.remove();
    }
  });

  test("a gz goes on from 0, and comes out right", async () => {
    const pod = await makePod();
    try {
      const first = await serve({ pod });
      const bytes = gzipSync(images().bytes);
      const path = await create(first, bytes.length);
      expect((await patch(first, path, 0, bytes.subarray(0, 400_000))).status).toBe(204);
      const second = await restart(first, "SIGKILL", {});
      expect(await offsetOf(second, path)).toBe(0);
      expect((await sendRest(second, path, bytes, 300_000)).said.status).toBe(204);
      await expectDone(second);
    } finally {
      await pod.remove();
    }
  });

  test("of several gz members, it goes on where one begins", async () => {
    const pod = await makePod();
    try {
      const { bytes } = images();
      // Stored, not squeezed: each is as long as its part of the disk.
      const members = [0, 1, 2, 3].map((at) => gzipSync(bytes.subarray(at * chunk, (at + 1) * chunk), { level: 0 }));
      const whole = Buffer.concat(members);
      const begins = members.map((_, index) => Buffer.concat(members.slice(0, index)).length);
      const first = await serve({ pod });
      const path = await create(first, whole.length);
      expect((await patch(first, path, 0, whole.subarray(0, 3.5 * chunk))).status).toBe(204);
      const saved = (): Promise<string> => readFile(pod.at("/data/disk.img.part.checkpoint"), "utf8").catch(() => "");
      await expect.poll(saved, { timeout: 20_000 }).toMatch(/"inputBytes":[1-9]/);
      const second = await restart(first, "SIGKILL", {});
      const offset = await offsetOf(second, path);
      expect(begins.slice(1)).toContain(offset);
      expect((await sendRest(second, path, whole, chunk)).said.status).toBe(204);
      await expectDone(second);
    } finally {
      await pod.remove();
    }
  });

  test.each([
    ["no JSON", "{"],
    ["another's", JSON.stringify({ version: 9, id: "0123456789abcdef", sizeBytes: 1, fileName: "", durableBytes: 0 })],
    ["of no size", JSON.stringify({ version: 2, id: "0123456789abcdef", sizeBytes: -1, fileName: "" })],
    ["endless", "[".repeat(100_000)],
  ])("a record on the volume that is %s is none", async (_, text) => {
    const pod = await makePod();
    try {
      await writeFile(pod.at("/data/disk.img.upload"), text);
      const server = await serve({ pod });
      expect((await tus(server, "HEAD", `${root}/0123456789abcdef`)).status).toBe(404);
      expect((await ask(server, { body: images().bytes })).status).toBe(200);
      expect(await server.ended).toMatchObject({ exit: 0 });
    } finally {
      await pod.remove();
    }
  });
});
