// tus-js-client, unchanged, against the server: from node, and from a headless browser through a page, with pause and resume.
import { createServer as createTlsServer } from "node:https";
import { once } from "node:events";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { Upload, type HttpStack } from "tus-js-client";
import { expect, test } from "vitest";
import { noBrowser, uploadFromPage } from "../../support/tus-page.ts";
import { certificateNow } from "../../support/upload-stand-in.ts";
import { useUploads } from "./uploads.ts";
import { identityOf, type Server } from "./world.ts";

const { certificates, images, serve, expectDone } = useUploads();

/** A door before the server, as the proxy is: the browser side without, the server's side with the client certificate. */
async function openDoor(server: Server): Promise<{ url: string; close: () => Promise<void> }> {
  const own = await certificateNow(certificates().servers, "localhost", "server", { dnsNames: ["localhost"] });
  const door = createTlsServer({ key: own.key, cert: own.certificate }, (request, response) => {
    const cors = {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "POST, HEAD, PATCH, DELETE, OPTIONS",
      "access-control-allow-headers": "*",
      "access-control-expose-headers": "Upload-Offset, Location, Upload-Length, Tus-Resumable",
    };
    if (request.method === "OPTIONS") return void response.writeHead(204, cors).end();
    const { method, url: path, headers } = request;
    const onward = httpsRequest({ ...identityOf(server, undefined), agent: false, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...cors });
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.once("close", () => onward.destroy());
    request.pipe(onward);
  });
  await once(door.listen(0, "127.0.0.1"), "listening");
  const close = async (): Promise<void> => {
    door.closeAllConnections();
    await new Promise((resolve) => door.close(resolve));
  };
  return { url: `https://localhost:${(door.address() as AddressInfo).port}/v1beta1/upload-tus`, close };
}

test("from node: paused in the middle, resumed by another client object, and whole", async () => {
  const server = await serve();
  const { DefaultHttpStack } = createRequire(import.meta.url)("tus-js-client") as {
    DefaultHttpStack: new (options: object) => HttpStack;
  };
  const httpStack = new DefaultHttpStack({ ...identityOf(server, undefined), agent: undefined });
  const endpoint = `https://${server.address}:8443/v1beta1/upload-tus`;
  const common = {
    httpStack,
    chunkSize: 3 * 2 ** 20,
    retryDelays: [50, 200, 1000],
    metadata: { filename: "disk.img" },
  };
  const url = await new Promise<string>((resolve, reject) => {
    const first = new Upload(images().bytes, {
      ...common,
      endpoint,
      onError: reject,
      onChunkComplete(_, done) {
        if (done < 6 * 2 ** 20) return;
        void first.abort().then(() => resolve(first.url ?? ""));
      },
    });
    first.start();
  });
  const seen: number[] = [];
  await new Promise<void>((resolve, reject) => {
    new Upload(images().bytes, {
      ...common,
      uploadUrl: url,
      onProgress: (done) => void seen.push(done),
      onSuccess: () => resolve(),
      onError: reject,
    }).start();
  });
  expect(seen[0]).toBeGreaterThanOrEqual(6 * 2 ** 20);
  await expectDone(server);
});

test.skipIf(noBrowser)("from a browser: paused and resumed, and whole", async () => {
  const server = await serve();
  const door = await openDoor(server);
  try {
    const told = await uploadFromPage({
      file: images().raw,
      endpoint: door.url,
      chunkBytes: 2 * 2 ** 20,
      pauseAtBytes: 6 * 2 ** 20,
    });
    expect(told.pauses).toBe(1);
    expect(told.seen.at(-1)).toBe(images().bytes.length);
  } finally {
    await door.close();
  }
  await expectDone(server);
});
