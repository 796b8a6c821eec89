// When `cdi upload` tries again and when it gives up, against a server that answers as the test says.
import { open, truncate, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { chunkBytes, sendByTus } from "../../../src/cli/upload/send.ts";
import { KubeError, type KubeClient } from "../../../src/kube/index.ts";
import type { Clock } from "../../../src/lib/clock.ts";
import type { KeyedCertificate } from "../../../src/pki/index.ts";
import { removeDir, temporaryDir } from "../../support/cdi-up.ts";
import { authorityNow, certificateNow } from "../../support/upload-stand-in.ts";

/** Of a PATCH, at the offset it began at. */
type Answering = (offset: number, patches: number) => { status: number; body?: string };

const sizeBytes = chunkBytes + 1000;
let ca: string;
let pair: KeyedCertificate;

beforeAll(async () => {
  const authority = await authorityNow("send");
  ca = authority.certificate;
  pair = await certificateNow(authority, "send.test", "server", { dnsNames: ["localhost"], ips: ["127.0.0.1"] });
});

/** Keeps what a 204 took; after any other answer it has nothing, as a server that failed with a single gz member. */
async function startServer(answering: Answering): Promise<{ endpoint: string; patches: () => number }> {
  let [offset, patches] = [0, 0];
  const server = createServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
    request.resume().once("end", () => {
      if (request.method === "POST") return response.writeHead(201, { location: "/tus/one" }).end();
      if (request.method === "HEAD") return response.writeHead(200, { "upload-offset": offset }).end();
      const { status, body = "" } = answering(offset, (patches += 1));
      offset = status === 204 ? Math.min(sizeBytes, offset + chunkBytes) : 0;
      response.writeHead(status, status === 204 ? { "upload-offset": offset } : {}).end(body);
    });
  });
  onTestFinished(() => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { endpoint: `https://localhost:${(server.address() as AddressInfo).port}/tus`, patches: () => patches };
}

/** Its sleeps end at once. */
const noWait: Clock = { now: () => Date.now(), sleep: () => Promise.resolve() };
const refuse = () => Promise.reject(new KubeError(404, "NotFound", "not there"));
const client = {
  create: () => Promise.resolve({ apiVersion: "v1", kind: "x", metadata: {}, status: { token: "t" } }),
  get: () => Promise.resolve(undefined),
  patch: refuse,
} as unknown as KubeClient;

async function send(answering: Answering): Promise<{ sent: ReturnType<typeof sendByTus>; patches: () => number }> {
  const dir = await temporaryDir();
  const path = join(dir, "disk.gz");
  await writeFile(path, "");
  await truncate(path, sizeBytes);
  const file = await open(path);
  onTestFinished(async () => {
    await file.close();
    await removeDir(dir);
  });
  const { endpoint, patches } = await startServer(answering);
  const sent = sendByTus({
    client,
    proxy: { endpoint, tls: { ca } },
    about: { namespace: "default", name: "disk", path, sizeBytes, modifiedMs: 0 },
    file,
    url: undefined,
    onUrl: () => Promise.resolve(),
    onProgress: () => undefined,
    clock: noWait,
    signal: new AbortController().signal,
  });
  sent.catch(() => undefined); // asserted by the test
  return { sent, patches };
}

test("what passes is tried again", async () => {
  const { sent, patches } = await send((_offset, count) => ({ status: count === 2 ? 502 : 204 }));
  expect(await sent).toMatchObject({ resumedFrom: 0 });
  expect(patches()).toBe(4);
});

test.each([
  { when: "an image at fault", status: 400, body: "Saving stream failed: bad", most: 2 },
  { when: "the same failure of the server twice", status: 500, body: "Saving stream failed: broken", most: 4 },
])("$when is the end", async ({ status, body, most }) => {
  const { sent, patches } = await send((offset) => (offset > 0 ? { status, body } : { status: 204 }));
  await expect(sent).rejects.toMatchObject({ code: "UploadRefused", message: `${status}, ${body}` });
  expect(patches()).toBe(most);
});

test("bytes that were sent before are no progress: it does not go on for ever", { timeout: 120_000 }, async () => {
  const { sent, patches } = await send((offset) => ({ status: offset > 0 ? 502 : 204 }));
  await expect(sent).rejects.toThrow("the upload does not go on: 502");
  expect(patches()).toBeLessThanOrEqual(2 * 21);
});
