// Uploads that come to nothing: what is answered, that nothing is left that looks finished, and that the next try succeeds.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { MiB } from "../importer/world.ts";
import { tooLarge, useUploads } from "./uploads.ts";
import { ask, openConnection, type Server, type StartOptions } from "./world.ts";

const { images, qcow2, vmdk, serve, expectDone } = useUploads();

describe("failures, after each of which the next try succeeds", () => {
  const cut = (bytes: number) => async (server: Server) => {
    const socket = await openConnection(server);
    socket.write(`POST /v1beta1/upload HTTP/1.1\r\nHost: u\r\nContent-Length: ${images().bytes.length}\r\n\r\n`);
    socket.write(images().bytes.subarray(0, bytes));
    await server.logged("Importing");
    return socket;
  };
  const rows: {
    when: string;
    send: (server: Server) => Promise<unknown>;
    says?: object;
    options?: StartOptions;
  }[] = [
    {
      when: "the client vanishes at 50 %",
      async send(server) {
        (await cut(images().bytes.length / 2)(server)).destroy();
        await server.logged("The upload failed");
      },
    },
    {
      when: "the client ends its side before the length it told",
      async send(server) {
        const socket = await cut(images().bytes.length / 2)(server);
        socket.end();
        await server.logged("The upload failed");
      },
    },
    {
      when: "a raw disk is larger than the claim",
      send: (server) => ask(server, { body: Buffer.alloc(65 * MiB) }),
      says: {
        status: 400,
        text: `${tooLarge}virtual image size 68157440 is larger than the reported available storage 67108864. A larger PVC is required\n`,
      },
    },
    {
      when: "a raw disk of unknown length runs over the claim",
      send: (server) => ask(server, { body: Readable.from([Buffer.alloc(65 * MiB, 1)], { objectMode: false }) }),
      says: { status: 400, text: expect.stringMatching(/^Saving stream failed: effective image size is larger/) },
    },
    {
      when: "what unpacks from gz is larger than the claim",
      send: (server) => ask(server, { body: gzipSync(Buffer.alloc(80 * MiB, 1)) }),
      says: { status: 400, text: expect.stringMatching(/^Saving stream failed: effective image size is larger/) },
    },
    {
      when: "a qcow2's disk is larger than the claim",
      options: { config: { imageSize: "8Mi" }, scratch: true },
      send: (server) => ask(server, { body: qcow2() }),
      says: { status: 400, text: expect.stringContaining("virtual image size 16777216 is larger than") },
    },
    {
      when: "the bytes are a page",
      send: (server) => ask(server, { body: Buffer.from(`<!DOCTYPE html><html>${" ".repeat(4096)}</html>`) }),
      says: { status: 400, text: `${tooLarge}the source is an HTML page, not a disk image\n` },
    },
    {
      when: "garbage bears the magic of qcow2",
      send: (server) => ask(server, { body: Buffer.concat([qcow2().subarray(0, 8), Buffer.alloc(MiB, 0xa5)]) }),
      says: { status: 400, text: expect.stringMatching(/^Saving stream failed: effective image size/) },
    },
    {
      when: "garbage is named .qcow2 in a form",
      send: (server) =>
        ask(server, {
          path: "/v1beta1/upload-form",
          headers: { "content-type": 'multipart/form-data; boundary="b"' },
          body: Buffer.concat([
            Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="x.qcow2"\r\n\r\n'),
            Buffer.alloc(MiB, 0xa5),
            Buffer.from("\r\n--b--"),
          ]),
        }),
      says: { status: 400, text: expect.stringContaining("the name ends in .qcow2") },
    },
    {
      when: "a gz is damaged in its middle",
      send(server) {
        const packed = gzipSync(images().bytes);
        packed.fill(0, 300_000, 300_064);
        return ask(server, { path: "/v1beta1/upload-async", body: packed });
      },
      says: { status: 500, text: expect.stringMatching(/^Saving stream failed: /) },
    },
    {
      when: "a gz ends early",
      send: (server) => ask(server, { body: gzipSync(images().bytes).subarray(0, 300_000) }),
      says: { status: 500, text: expect.stringMatching(/^Saving stream failed: /) },
    },
    {
      when: "the body is empty",
      send: (server) => ask(server, { body: Buffer.alloc(0) }),
      says: { status: 500, text: expect.stringMatching(/^Saving stream failed: could not process image header/) },
    },
    {
      when: "a form has no file",
      send: (server) =>
        ask(server, {
          path: "/v1beta1/upload-form",
          headers: { "content-type": "multipart/form-data; boundary=b" },
          body: Buffer.from('--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n'),
        }),
      says: { status: 400 },
    },
    {
      when: "a form is none",
      send: (server) => ask(server, { path: "/v1alpha1/upload-form-async", body: images().bytes }),
      says: { status: 400 },
    },
    {
      when: "a form ends inside its file",
      send: (server) =>
        ask(server, {
          path: "/v1beta1/upload-form",
          headers: { "content-type": "multipart/form-data; boundary=b" },
          body: Buffer.concat([
            Buffer.from('--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'),
            images().bytes.subarray(0, MiB),
          ]),
        }),
      says: { status: 500, text: expect.stringMatching(/^Saving stream failed: /) },
    },
  ];

  test.each(rows)("$when", async ({ send, says, options }) => {
    const server = await serve(options);
    const said = await send(server);
    if (says) expect(said).toMatchObject(says);
    expect(await readdir(server.pod.at("/data"))).toEqual([]);
    if (options?.config?.imageSize) return;
    const again = await untilFree(server);
    expect(again).toMatchObject({ status: 200, text: "" });
    await expectDone(server);
  });

  test.each(["/v1beta1/upload", "/v1beta1/upload-async"])(
    "larger than the claim in fact or only virtually, plain or under xz, is 400 at %s",
    async (path) => {
      const server = await serve({ config: { imageSize: "8Mi" }, scratch: true });
      const packed = (bytes: Buffer) => execFileSync("xz", ["-0", "-c"], { input: bytes, maxBuffer: 64 * MiB });
      for (const body of [images().bytes, qcow2(), packed(images().bytes), packed(qcow2())]) {
        const said = await ask(server, { path, body });
        expect(said).toMatchObject({ status: 400, text: expect.stringContaining(tooLarge) as string });
        expect(await readdir(server.pod.at("/data"))).toEqual([]);
      }
      await server.logged("The upload failed");
    },
  );

  describe("a client that waits for 100 Continue", () => {
    async function post(server: Server, path: string) {
      const socket = await openConnection(server);
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
      const heard = async (words: RegExp): Promise<void> => {
        while (!words.test(text)) await once(socket, "data");
      };
      socket.write(`POST ${path} HTTP/1.1\r\nHost: u\r\nExpect: 100-continue\r\nContent-Length: ${65 * MiB}\r\n\r\n`);
      return { socket, heard, said: () => text };
    }

    test("and was told to go on keeps its connection after an early answer, which bytes on their way would cost it", async () => {
      const { socket, heard, said } = await post(await serve(), "/v1beta1/upload");
      await heard(/^HTTP\/1.1 100 Continue\r\n/);
      for (let sent = 0; sent < 65 * MiB; sent += MiB) socket.write(Buffer.alloc(MiB));
      socket.write("GET /healthz HTTP/1.1\r\nHost: u\r\n\r\n");
      await heard(/larger than the reported available storage .*\nHTTP\/1.1 200 OK\r\n/s);
      expect(said()).toMatch(/\r\nHTTP\/1.1 400 [^\n]*\r\n(\S+: [^\n]*\r\n)*Connection: keep-alive\r\n/i);
      socket.destroy();
    });

    test("and was not told loses its connection with the answer: what it sends next is no body", async () => {
      const { socket, said } = await post(await serve(), "/nowhere");
      if (!socket.closed) await once(socket, "close");
      expect(said()).toMatch(/^HTTP\/1.1 404 .*\r\nConnection: close\r\n/is);
    });
  });

  /** The server may be busy taking the failed one down for a moment. */
  async function untilFree(server: Server) {
    for (let tries = 0; ; tries += 1) {
      const said = await ask(server, { body: images().bytes });
      if (said.status !== 503 || tries > 100) return said;
      await sleep(20);
    }
  }

  test("an image that needs scratch space and has none: the client is told, and so is the controller", async () => {
    const server = await serve();
    const said = await ask(server, { body: vmdk() });
    expect(said).toMatchObject({ status: 503, text: expect.stringContaining("scratch space") as string });
    expect(await server.ended).toMatchObject({ exit: 0, message: { scratchSpaceRequired: true } });
    expect(await readdir(server.pod.at("/data"))).toEqual([]);
  });
});
