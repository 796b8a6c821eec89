// The upload server as a pod runs it: who may post, every path and status, and every end.
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { uploadClientName } from "../../../src/contract/upload-routes.ts";
import { authorityNow, certificateNow } from "../../support/upload-stand-in.ts";
import { MiB } from "../importer/world.ts";
import { complete, useUploads } from "./uploads.ts";
import { ask, diskOf, openConnection, readAllOf, startServer, type Server } from "./world.ts";

const { certificates, images, qcow2, vmdk, folder, serve, expectDone } = useUploads();

describe("every way in", () => {
  const form = (file: Buffer): { headers: Record<string, string>; body: Buffer } => ({
    headers: { "content-type": "multipart/form-data; boundary=xYz" },
    body: Buffer.concat([
      Buffer.from(`preamble\r\n--xYz\r\nContent-Disposition: form-data; name="note"\r\n\r\nnot\r\n--xY the file\r\n`),
      Buffer.from(`--xYz  \r\ncontent-disposition: form-data; name="file"; filename="disk"\r\nX-Other: 1\r\n\r\n`),
      file,
      Buffer.from(`\r\n--xYz--\r\nepilogue`),
    ]),
  });
  const bytesOf = { raw: () => images().bytes, qcow2, gz: () => gzipSync(images().bytes) };

  test.each([
    ["/v1beta1/upload", "raw"],
    ["/v1alpha1/upload", "raw"],
    ["/v1beta1/upload-async", "raw"],
    ["/v1alpha1/upload-async", "gz"],
    ["/v1beta1/upload-form", "raw"],
    ["/v1alpha1/upload-form", "gz"],
    ["/v1beta1/upload-form-async", "raw"],
    ["/v1alpha1/upload-form-async", "raw"],
  ] as const)("POST to %s takes a %s image", async (path, kind) => {
    const server = await serve();
    const bytes = bytesOf[kind]();
    const said = await ask(server, { path, ...(path.includes("form") ? form(bytes) : { body: bytes }) });
    expect(said).toMatchObject({ status: 200, text: "" });
    await expectDone(server);
  });

  test("a qcow2 lands as the disk it holds", async () => {
    const server = await serve({ scratch: true });
    expect(await ask(server, { body: qcow2() })).toMatchObject({ status: 200, text: "" });
    await expectDone(server);
    expect(await readdir(server.pod.at("/scratch"))).toEqual([]);
  });

  test("a vmdk is staged in scratch, sync and async", async () => {
    for (const path of ["/v1beta1/upload", "/v1beta1/upload-async"]) {
      const server = await serve({ scratch: true });
      expect(await ask(server, { path, body: vmdk() })).toMatchObject({ status: 200, text: "" });
      await expectDone(server);
      expect(await readdir(server.pod.at("/scratch"))).toEqual([]);
    }
  });

  test("a body of unknown length (chunked) is taken to its end", async () => {
    const server = await serve();
    const said = await ask(server, { body: Readable.from([images().bytes], { objectMode: false }) });
    expect(said.status).toBe(200);
    await expectDone(server);
  });

  test("a client that waits for 100 Continue is told to go on", async () => {
    const server = await serve();
    const words = ["-sS", "-k", "-X", "POST", "-H", "Expect: 100-continue", "-T", images().raw, "-w", "%{http_code}"];
    const identity = ["--cert", join(folder(), "client.pem"), "--key", join(folder(), "client.key")];
    await writeFile(join(folder(), "client.pem"), certificates().proxy.certificate);
    await writeFile(join(folder(), "client.key"), certificates().proxy.key);
    const out = execFileSync("curl", [...words, ...identity, `https://${server.address}:8443/v1beta1/upload`]);
    expect(out.toString()).toBe("200");
    await expectDone(server);
  });

  test("a block volume is filled to its end, what was there before is gone", async () => {
    const server = await serve({ blockBytes: 32 * MiB, config: { destination: "/dev/cdi-block-volume" } });
    expect((await ask(server, { body: images().bytes })).status).toBe(200);
    expect(await server.ended).toMatchObject({ exit: 0, message: complete });
    const device = await readFile(server.pod.at("/dev/cdi-block-volume"));
    expect(device.subarray(0, images().bytes.length).equals(images().bytes)).toBe(true);
    expect(device.subarray(images().bytes.length).every((byte) => byte === 0)).toBe(true);
  });

  test("an archive is unpacked into the volume's root, plain and compressed; one that is none is refused", async () => {
    const tree = join(folder(), "tree");
    await mkdir(join(tree, "sub"), { recursive: true });
    await writeFile(join(tree, "sub/file.txt"), "contents");
    const tar = execFileSync("tar", ["-C", tree, "-c", "."]);
    for (const body of [tar, gzipSync(tar)]) {
      const server = await serve();
      const path = "/v1beta1/upload-archive";
      expect(await ask(server, { path, body: Buffer.alloc(4096, "no tar") })).toMatchObject({ status: 400 });
      expect(await readdir(server.pod.at("/data"))).toEqual([]);
      expect(await ask(server, { path, body })).toMatchObject({ status: 200, text: "" });
      expect(await server.ended).toMatchObject({ exit: 0, message: complete });
      expect(await readFile(server.pod.at("/data/sub/file.txt"), "utf8")).toBe("contents");
    }
  });

  test.each(["upload", "upload-async", "upload-form", "upload-form-async"])(
    "with preallocation %s allocates every byte, and the end says so",
    async (name) => {
      const server = await serve({ config: { preallocation: true, imageSize: "20Mi" } });
      const path = `/v1beta1/${name}`;
      const body = name.includes("form") ? form(images().bytes) : { body: images().bytes };
      expect((await ask(server, { path, ...body })).status).toBe(200);
      await expectDone(server, { preallocationApplied: true, message: "Upload Complete" });
      const { blocks, size } = await stat(server.pod.at("/data/disk.img"));
      expect(blocks * 512).toBeGreaterThanOrEqual(size);
    },
  );

  test("an image exactly as large as the claim fits", async () => {
    const server = await serve({ config: { imageSize: "16Mi", filesystemOverhead: "0" } });
    expect((await ask(server, { body: images().bytes })).status).toBe(200);
    await expectDone(server);
  });
});

describe("who is let in", () => {
  test.each([
    ["GET", "/healthz", 200],
    ["HEAD", "/v1beta1/upload-async", 200],
    ["HEAD", "/v1alpha1/upload-form-async", 200],
    ["HEAD", "/v1beta1/upload", 404],
    ["GET", "/v1beta1/upload", 404],
    ["PUT", "/v1beta1/upload-async", 404],
    ["POST", "/v1beta1/upload", 401],
    ["POST", "/v1beta1/upload-async", 401],
    ["POST", "/v1beta1/upload-archive", 401],
    ["POST", "/v1beta1/upload-form", 401],
    ["POST", "/v1alpha1/upload-form-async", 401],
    ["POST", "/v1beta1/upload-tus", 401],
    ["HEAD", "/v1beta1/upload-tus/x", 401],
    ["PATCH", "/v1beta1/upload-tus/x", 401],
    ["DELETE", "/v1beta1/upload-tus/x", 401],
    ["OPTIONS", "/v1beta1/upload-tus", 401],
    ["POST", "/v1/upload", 404],
    ["GET", "/", 404],
  ])("%s %s without a client certificate: %i", async (method, path, status) => {
    const server = await shared();
    expect((await ask(server, { method, path, as: "nobody" })).status).toBe(status);
  });

  test("only the certificate of the client that was named, signed by the right authority, opens", async () => {
    const server = await shared();
    const stranger = await authorityNow("strangers");
    const other = await certificateNow(certificates().clients, "somebody.else", "client");
    const forged = await certificateNow(stranger, uploadClientName, "client");
    const wrongUse = await certificateNow(certificates().clients, uploadClientName, "server");
    // A chain that carries the right certificate without its key proves nothing.
    const borrowed = { ...other, certificate: other.certificate + certificates().proxy.certificate };
    for (const as of [other, forged, wrongUse, borrowed]) {
      expect((await ask(server, { body: images().bytes, as })).status).toBe(401);
    }
    expect(await diskOf(server)).toBe(undefined);
  });

  test("a name past 64 characters serves for a clone's source", async () => {
    const clientName = `${"n".repeat(60)}/${"p".repeat(60)}-${"t".repeat(60)}/${"c".repeat(60)}`;
    const server = await serve({ config: { clientName } });
    const as = await certificateNow(certificates().clients, clientName, "client");
    expect((await ask(server, { body: images().bytes })).status).toBe(401);
    expect((await ask(server, { body: images().bytes, as })).status).toBe(200);
    await expectDone(server);
  });

  test.each([
    ["blockdevice-clone", "/v1beta1/upload", 501, /not supported by this release/],
    ["filesystem-clone", "/v1beta1/upload", 501, /not supported by this release/],
    ["filesystem-clone", "/v1beta1/upload-async", 500, /^async clone not supported\n$/],
  ])("x-cdi-content-type %s to %s: %i", async (kind, path, status, text) => {
    const said = await ask(await shared(), { path, headers: { "x-cdi-content-type": kind }, body: images().bytes });
    expect(said).toMatchObject({ status, text: expect.stringMatching(text) as string });
  });

  let one: Server | undefined;
  const shared = async (): Promise<Server> => (one ??= await startServer(certificates()));
  afterAll(() => one?.close());
});

describe("one at a time, and one in all", () => {
  test("a second upload is refused while one runs (503), and once it is done (409)", async () => {
    const server = await serve();
    const first = await openConnection(server);
    first.write(`POST /v1beta1/upload HTTP/1.1\r\nHost: u\r\nContent-Length: ${images().bytes.length}\r\n\r\n`);
    first.write(images().bytes.subarray(0, MiB));
    await server.logged("Importing");
    expect(await ask(server, { body: images().bytes })).toMatchObject({ status: 503, text: "" });
    expect((await ask(server, { path: "/v1beta1/upload-form", body: images().bytes })).status).toBe(503);
    expect((await ask(server, { method: "HEAD", path: "/v1beta1/upload-async" })).status).toBe(200);
    const late = await openConnection(server);
    late.write("POST /v1beta1/upload HTTP/1.1\r\nHost: u\r\n");
    first.write(images().bytes.subarray(MiB));
    expect(await readAllOf(first)).toMatch(/^HTTP\/1.1 200 /);
    late.write("Content-Length: 0\r\n\r\n");
    expect(await readAllOf(late)).toMatch(/^HTTP\/1.1 409 /);
    await expectDone(server);
  });
});

describe("its time", () => {
  const soon = (): string => new Date(Date.now() + 1500).toISOString();

  test("at the deadline a server that waits ends and says so", async () => {
    const server = await serve({ config: { deadline: soon() } });
    expect(await server.ended).toMatchObject({
      exit: 0,
      message: { deadlinePassed: true, message: "Deadline Passed" },
    });
  });

  test("an upload under way at the deadline is allowed to finish", async () => {
    const deadline = Date.now() + 1000;
    const server = await serve({ config: { deadline: new Date(deadline).toISOString() } });
    const socket = await openConnection(server);
    socket.write(`POST /v1beta1/upload HTTP/1.1\r\nHost: u\r\nContent-Length: ${images().bytes.length}\r\n\r\n`);
    socket.write(images().bytes.subarray(0, MiB));
    await sleep(Math.max(0, deadline - Date.now()) + 500);
    socket.write(images().bytes.subarray(MiB));
    expect(await readAllOf(socket)).toMatch(/^HTTP\/1.1 200 /);
    await expectDone(server);
  });

  test("an upload that fails after the deadline leaves the place to the next server", async () => {
    const deadline = Date.now() + 1000;
    const server = await serve({ config: { deadline: new Date(deadline).toISOString() } });
    const socket = await openConnection(server);
    socket.write(`POST /v1beta1/upload HTTP/1.1\r\nHost: u\r\nContent-Length: ${images().bytes.length}\r\n\r\n`);
    socket.write(images().bytes.subarray(0, MiB));
    await sleep(Math.max(0, deadline - Date.now()) + 500);
    socket.destroy();
    expect(await server.ended).toMatchObject({ exit: 0, message: { deadlinePassed: true } });
    expect(await readdir(server.pod.at("/data"))).toEqual([]);
  });

  test("told to stop in mid-upload, it leaves nothing that looks finished", async () => {
    const server = await serve();
    const socket = await openConnection(server);
    socket.write(`POST /v1beta1/upload HTTP/1.1\r\nHost: u\r\nContent-Length: ${images().bytes.length}\r\n\r\n`);
    socket.write(images().bytes.subarray(0, 2 * MiB));
    await server.logged("Importing");
    server.kill("SIGTERM");
    expect(await server.ended).toMatchObject({ exit: 1, message: "stopped by SIGTERM" });
    expect(await readdir(server.pod.at("/data"))).toEqual([]);
  });

  test("settings that cannot be used: all complaints at once, and the catalog's status", async () => {
    const server = await serve({ config: { clientName: "", imageSize: "much" } });
    const ran = await server.ended;
    expect(ran).toMatchObject({ exit: 65 });
    expect(ran.message).toMatch(/UPLOAD_IMAGE_SIZE.*CLIENT_NAME/);
  });
});

describe("started by a v1.56 controller", () => {
  test("health is told in plain on 8080, and without a certificate no handshake is through", async () => {
    const server = await serve({ old: true });
    const text = await new Promise<string>((resolve, reject) => {
      get(`http://${server.address}:8080/healthz`, (answer) => {
        let said = `${answer.statusCode} `;
        answer.on("data", (chunk: Buffer) => (said += chunk.toString()));
        answer.on("end", () => resolve(said));
      }).on("error", reject);
    });
    expect(text).toBe("200 OK");
    await expect(ask(server, { method: "GET", path: "/healthz", as: "nobody" })).rejects.toThrow();
    const stranger = await authorityNow("strangers");
    const forged = await certificateNow(stranger, uploadClientName, "client");
    await expect(ask(server, { body: images().bytes, as: forged })).rejects.toThrow();
    expect((await ask(server, { body: images().bytes })).status).toBe(200);
    await expectDone(server, "Upload Complete");
  });

  test.each([
    { path: "/v1alpha1/upload", body: () => Buffer.alloc(65 * MiB), status: 500, text: /^$/ },
    {
      path: "/v1alpha1/upload-async",
      body: () => Buffer.alloc(65 * MiB),
      status: 400,
      text: /^Saving stream failed: virtual image size/i,
    },
    {
      path: "/v1alpha1/upload-async",
      body: () => Buffer.alloc(0),
      status: 500,
      text: /^Saving stream failed: could not process image header/,
    },
  ])("a failure at $path is answered $status", async ({ path, body, status, text }) => {
    const server = await serve({ old: true });
    const said = await ask(server, { path, body: body() });
    expect(said).toMatchObject({ status, text: expect.stringMatching(text) as string });
    expect((await ask(server, { body: images().bytes })).status).toBe(200);
    await expectDone(server, "Upload Complete");
  });

  test("preallocation is told in upstream's words", async () => {
    const server = await serve({ old: true, config: { preallocation: true, imageSize: "20Mi" } });
    expect((await ask(server, { body: images().bytes })).status).toBe(200);
    await expectDone(server, "Upload Complete, Preallocation applied");
  });
});
