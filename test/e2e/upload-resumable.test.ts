// Resumable uploads through the real proxy into an embedded cluster: from a headless browser with pause and resume, with connections
// that drop, and with a server that is killed; little is sent twice.
import { readdir, readFile } from "node:fs/promises";
import { request, type RequestOptions } from "node:https";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { expect, test } from "vitest";
import type { Pod } from "../../src/api/core.ts";
import { kinds } from "../../src/api/kinds.ts";
import { diskOf, history, holdsImage } from "../support/cluster.ts";
import { noBrowser, uploadFromPage } from "../support/tus-page.ts";
import { image, mib, readyVolume, untilSucceeded, useUploadCluster } from "../support/upload-cluster.ts";

const on = useUploadCluster();
const octets = "application/offset+octet-stream";

async function expectFilled(name: string): Promise<void> {
  await untilSucceeded(on(), name);
  expect(holdsImage((await diskOf(on().cluster, name)) as Buffer, image)).toBe(true);
}

test.skipIf(noBrowser)("a browser, paused and resumed, each request with a token of its own", async () => {
  await readyVolume(on(), "browsed");
  const told = await uploadFromPage({
    file: on().file("disk.img"),
    endpoint: `${on().url}/v1beta1/upload-tus`,
    chunkBytes: mib,
    pauseAtBytes: 3 * mib,
    // As a page's own server would: a fresh one for each request of the upload.
    token: () => on().virtctl.token({ style: "new", name: "browsed" }),
  });
  expect(told.pauses).toBe(1);
  expect(told.seen.at(-1)).toBe(image.length);
  await expectFilled("browsed");
});

interface Said {
  status: number;
  headers: IncomingHttpHeaders;
}
const access = (): RequestOptions => ({ ca: on().ca, agent: false });

function tus(
  token: string,
  method: string,
  url: string,
  headers: OutgoingHttpHeaders = {},
  body?: Buffer,
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const all = { authorization: `Bearer ${token}`, "tus-resumable": "1.0.0", ...headers };
    const length = body ? { "content-length": body.length } : {};
    const outgoing = request(url, { ...access(), method, headers: { ...all, ...length } }, (answer) => {
      answer.resume();
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
async function create(token: string, bytes: number): Promise<string> {
  const endpoint = `${on().url}/v1beta1/upload-tus`;
  const said = await tus(token, "POST", endpoint, { "upload-length": bytes });
  expect(said.status).toBe(201);
  return new URL(said.headers.location ?? "", endpoint).href;
}
/** Waits for a server that comes back. */
async function offsetOf(token: string, url: string): Promise<number> {
  let offset = "";
  const ask = async (): Promise<number> => {
    const said = await tus(token, "HEAD", url);
    offset = String(said.headers["upload-offset"]);
    return said.status;
  };
  await expect.poll(ask, { timeout: 60_000, interval: 200 }).toBe(200);
  return Number(offset);
}
const patch = (token: string, url: string, offset: number, body: Buffer): Promise<Said> =>
  tus(token, "PATCH", url, { "content-type": octets, "upload-offset": offset }, body);
/** A PATCH whose connection is cut after so many bytes. */
async function dropped(token: string, url: string, offset: number, sentBytes: number): Promise<void> {
  const headers = {
    authorization: `Bearer ${token}`,
    "tus-resumable": "1.0.0",
    "content-type": octets,
    "upload-offset": offset,
    "content-length": image.length - offset,
  };
  const outgoing = request(url, { ...access(), method: "PATCH", headers });
  outgoing.on("error", () => undefined); // cut by design
  await new Promise((sent) => outgoing.write(image.subarray(offset, offset + sentBytes), sent));
  outgoing.destroy();
  await new Promise((closed) => outgoing.once("close", closed));
}

test("five drops: identical bytes, and each drop sends less than its own bytes again", async () => {
  const token = await readyVolume(on(), "dropped");
  const url = await create(token, image.length);
  const step = mib;
  let at = 0;
  for (let drop = 0; drop < 5; drop += 1) {
    await dropped(token, url, at, step);
    const offset = await offsetOf(token, url);
    expect(offset).toBeGreaterThanOrEqual(at);
    expect(offset).toBeLessThanOrEqual(at + step);
    at = offset;
  }
  expect((await patch(token, url, at, image.subarray(at))).status).toBe(204);
  await expectFilled("dropped");
});

/** The process of the server in a pod of this cluster. */
async function serverPidOf(name: string): Promise<number> {
  const ref = { kind: kinds.pod, namespace: "default", name: `cdi-upload-${name}` };
  const { status } = (await on().cluster.client.get(ref)) as Pod;
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => ""); // it has ended
    if (!(await read("cmdline")).includes("dist/uploadserver.js")) continue;
    const environment = await read("environ");
    const isOurs = (await read("mountinfo")).includes(on().cluster.dir) || environment.includes(on().cluster.dir);
    if (isOurs && environment.split("\0").includes(`CDI_POD_IP=${status?.podIP}`)) return Number(pid);
  }
  throw new Error(`no upload server of ${name} runs`);
}

test.each(["Filesystem", "Block"])(
  "the server of a %s volume killed twice: at most one chunk is sent again each time",
  async (volumeMode) => {
    const name = `killed-${volumeMode.toLowerCase()}`;
    const token = await readyVolume(on(), name, { volumeMode });
    const bytes = await readFile(on().file("disk.qcow2"));
    const chunk = Math.ceil(bytes.length / 6);
    const url = await create(token, bytes.length);
    let sent = 0;
    let at = 0;
    for (const kill of [1, 2]) {
      for (let count = 0; count < 2; count += 1) {
        const piece = bytes.subarray(at, at + chunk);
        expect((await patch(token, url, at, piece)).status).toBe(204);
        sent += piece.length;
        at += piece.length;
      }
      const before = at;
      process.kill(await serverPidOf(name), "SIGKILL");
      await history<Pod>(
        on().cluster,
        kinds.pod,
        `cdi-upload-${name}`,
        ({ status }) =>
          (status?.containerStatuses?.[0]?.restartCount ?? 0) >= kill && status?.containerStatuses?.[0]?.ready === true,
      );
      at = await offsetOf(token, url);
      expect(at).toBeGreaterThan(before - chunk);
      expect(at).toBeLessThanOrEqual(before);
    }
    sent += bytes.length - at;
    expect((await patch(token, url, at, bytes.subarray(at))).status).toBe(204);
    expect(sent).toBeLessThanOrEqual(bytes.length + 2 * chunk);
    const [done] = (await untilSucceeded(on(), name)).slice(-1);
    expect(done?.status?.restartCount).toBeGreaterThanOrEqual(2);
    await expectFilled(name);
  },
);
