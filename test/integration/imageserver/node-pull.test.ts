// Both halves of a node pull: the image server inside an image that holds nothing but a disk, and the built importer beside it.
import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { Agent, createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { findTool } from "../../../src/datapath/index.ts";
import {
  anEnv,
  ensureBuilt,
  makeFolder,
  makeImages,
  MiB,
  startImporter,
  type Images,
  type Pod,
  type Ran,
} from "../importer/world.ts";
import { startRelay } from "../../support/relay.ts";
import { copyServer, isRoot, makeImagePod, startServer } from "./world.ts";

let folder: { path: string; remove: () => Promise<void> };
let images: Images;

beforeAll(async () => {
  ensureBuilt();
  folder = await makeFolder();
  images = await makeImages(folder.path);
});
afterAll(() => folder.remove());

const complete = { scratchSpaceRequired: false, preallocationApplied: false, message: "Import Complete" };

/** As the controller tells it, on the port that was free. */
const envOn = (port: number, imageSize = "20Mi"): Record<string, string> =>
  anEnv({
    endpoint: `http://localhost:${port}/disk.img`,
    imageSize,
    pullMethod: "node",
    readyFile: "/shared/ready",
    doneFile: "/shared/done",
  });

/** The port is the server's once it serves; where it never does any will do. */
async function runImporter(pod: Pod, port: Promise<number | undefined>, imageSize?: string): Promise<Ran> {
  return await startImporter(pod, envOn((await port) ?? 1, imageSize)).ended;
}

async function expectBytes(pod: Pod): Promise<void> {
  const disk = await readFile(pod.at("data/disk.img"));
  expect(disk.subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
  expect(disk.subarray(images.bytes.length).every((byte) => byte === 0)).toBe(true);
}

test.each([
  ["raw", "disk.img", () => images.raw],
  ["qcow2 under a name of its own", "my disk#1.qcow2", () => images.qcow2],
])("%s out of an image without a libc; both end, and the image's labels come along", async (_, name, from) => {
  const pod = await makeImagePod({ [name]: from() });
  const server = startServer(pod, ["INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=fedora", "OTHER=x"]);
  const ran = await runImporter(pod, server.port);
  const labels = { "instancetype.kubevirt.io/default-preference": "fedora" };
  expect(ran, ran.log).toMatchObject({ exit: 0, message: { ...complete, labels } });
  await expectBytes(pod);
  const ended = await server.ended;
  expect(ended, ended.log).toMatchObject({ exit: 0 });
  expect((await readdir(pod.at("shared"))).toSorted()).toEqual(["lib", "node", "server.mjs"]);
});

test("libcurl reads it, by which upstream's importer does: HEAD, then ranges", async (context) => {
  if (!findTool("curl")) return context.skip("curl is not installed");
  const pod = await makeImagePod({ "disk.qcow2": images.qcow2 });
  const server = startServer(pod);
  const url = `http://localhost:${await server.port}/disk.qcow2`;
  const file = await readFile(images.qcow2);
  const curl = (...args: string[]): Buffer => execFileSync("curl", ["-sf", ...args, url]);
  const head = curl("-I").toString();
  expect(head).toMatch(
    new RegExp(`^HTTP/1.1 200 OK.*^accept-ranges: bytes.*^content-length: ${file.length}\r$`, "ims"),
  );
  expect(curl("-r", "512-1023").equals(file.subarray(512, 1024))).toBe(true);
  expect(curl("-r", `${file.length - 10}-`).equals(file.subarray(-10))).toBe(true);
  expect(curl().equals(file)).toBe(true);
});

test("thousands of small reads, as a converter asks them, leave nothing behind in the server", async () => {
  const pod = await makeImagePod({ "disk.img": images.raw });
  const server = startServer(pod);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const read = async (at: number): Promise<Buffer> => {
    const options = {
      port: await server.port,
      path: "/disk.img",
      agent,
      headers: { range: `bytes=${at}-${at + 511}` },
    };
    const [answer] = (await once(get(options), "response")) as [IncomingMessage];
    return await buffer(answer);
  };
  for (let turn = 0; turn < 50; turn += 1) {
    const places = Array.from({ length: 40 }, (_, index) => ((turn * 40 + index) * 7919) % (images.bytes.length - 512));
    const parts = await Promise.all(places.map(read));
    const wrong = places.filter((at, index) => !parts[index]?.equals(images.bytes.subarray(at, at + 512)));
    expect(wrong).toEqual([]);
  }
  agent.destroy();
  await writeFile(pod.at("shared/done"), "");
  const ended = await server.ended;
  expect(ended.exit).toBe(0);
  // Nor a warning of node's: the lines of the start and of the end are all there are.
  expect(ended.log.trim().split("\n")).toHaveLength(2);
});

test.each<[when: string, disks: () => Record<string, string>, folders: string[], exit: number, text: string]>([
  [
    "no file",
    () => ({}),
    [],
    106,
    "Cannot locate image file: image file does not exist in image directory - directory is empty",
  ],
  [
    "two files",
    () => ({ "a.img": images.raw, "b.img": images.raw }),
    [],
    106,
    "Cannot locate image file: image directory contains more than one file",
  ],
  ["a folder", () => ({}), ["disk/sub"], 106, "Cannot locate image file: image directory contains another directory"],
])("an image with %s: the importer tells at once what the server found", async (_, disks, folders, exit, text) => {
  const pod = await makeImagePod(disks(), folders);
  const server = startServer(pod);
  const ended = await server.ended;
  expect(ended, ended.log).toMatchObject({ exit });
  // And to the node, for kubectl describe.
  if (isRoot) expect(await readFile(join(pod.image, "dev/termination-log"), "utf8")).toBe(text);
  const ran = await runImporter(pod, server.port);
  const message = `Unable to process data: Unable to obtain information about data source: ${text}`;
  expect(ran, ran.log).toMatchObject({ exit, message });
  // It is started again, and so is the server.
  expect(await readdir(pod.at("shared"))).toEqual(expect.not.arrayContaining(["done"]));
});

test("an image cannot have the server load anything of its own", async (context) => {
  if (!isRoot) return context.skip("an ordinary user has no root of its own to put the files in");
  const pod = await makeImagePod({ "disk.img": images.raw }, ["etc", "x"]);
  // Whatever reads one of these complains of what it names, or does not start.
  const conf =
    "nodejs_conf = a\nopenssl_conf = a\n[a]\nproviders = b\n[b]\nevil = c\n[c]\nmodule = /x/evil.so\nactivate = 1\n";
  await writeFile(join(pod.image, "x/conf"), conf);
  await writeFile(join(pod.image, "x/evil.so"), "not a library");
  await writeFile(join(pod.image, "etc/ld.so.preload"), "/x/evil.so\n");
  const server = startServer(pod, [
    "LD_PRELOAD=/x/evil.so",
    "LD_AUDIT=/x/evil.so",
    "NODE_OPTIONS=--require=/x/evil.js",
    "NODE_EXTRA_CA_CERTS=/x/conf",
    "NODE_ICU_DATA=/x",
    "OPENSSL_CONF=/x/conf",
  ]);
  const ran = await runImporter(pod, server.port);
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  const ended = await server.ended;
  expect(ended).toMatchObject({ exit: 0 });
  expect(
    ended.log
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { level: string }).level),
  ).toEqual(["info", "info"]);
});

test("a pipe in the place of the disk is refused, and not waited for", async () => {
  const pod = await makeImagePod({});
  execFileSync("mkfifo", [join(pod.image, "disk/disk.img")]);
  const ended = await startServer(pod).ended;
  expect(ended, ended.log).toMatchObject({ exit: 106, log: expect.stringContaining("is not a regular file") });
});

test("an image that boots by itself is refused", async (context) => {
  if (!isRoot) return context.skip("an ordinary user has no root of its own to put the folder in");
  const pod = await makeImagePod({ "disk.img": images.raw }, ["ostree"]);
  const server = startServer(pod);
  expect(await server.ended).toMatchObject({ exit: 70 });
  const ran = await runImporter(pod, server.port);
  expect(ran, ran.log).toMatchObject({ exit: 70, message: expect.stringContaining("bootc image detected: ") });
});

test("the server outlives an importer that fails, and serves its next start", async () => {
  const pod = await makeImagePod({ "disk.qcow2": images.qcow2 });
  const server = startServer(pod);
  const small = await runImporter(pod, server.port, "4Mi");
  expect(small, small.log).toMatchObject({ exit: 67 });
  const ran = await runImporter(pod, server.port);
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  await expectBytes(pod);
  expect(await server.ended).toMatchObject({ exit: 0 });
});

test("an importer that is killed goes on where it was, while the server serves the same file", async () => {
  const big = join(folder.path, "big.img");
  await writeFile(big, Buffer.concat(Array.from({ length: 32 }, () => randomBytes(MiB))));
  const pod = await makeImagePod({ "disk.img": big });
  const server = startServer(pod);
  // A way on which the kill comes in the middle.
  const relay = await startRelay({ toPort: (await server.port) ?? 0, windowBytes: 256 * 1024 }, onTestFinished);
  const first = startImporter(pod, envOn(relay.port, "64Mi"));
  const saved = async (): Promise<number> => {
    const text = await readFile(pod.at("data/disk.img.part.checkpoint"), "utf8").catch(() => "{}");
    return (JSON.parse(text) as { inputBytes?: number }).inputBytes ?? 0;
  };
  await expect.poll(saved, { timeout: 50_000, interval: 5 }).toBeGreaterThan(8 * MiB);
  first.kill("SIGKILL");
  await first.ended;
  const before = relay.bytes;
  const ran = await startImporter(pod, envOn(relay.port, "64Mi")).ended;
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  expect(ran.log).toContain("Resuming");
  expect(relay.bytes - before).toBeLessThan(25 * MiB);
  const disk = await readFile(pod.at("data/disk.img"));
  expect(disk.subarray(0, 32 * MiB).equals(await readFile(big))).toBe(true);
});

test("a stopped server ends at once, and started again it writes its ready file anew", async () => {
  const pod = await makeImagePod({ "disk.img": images.raw });
  const first = startServer(pod);
  await first.port;
  first.kill("SIGTERM");
  expect(await first.ended).toMatchObject({ exit: 143 });
  const second = startServer(pod);
  const ran = await runImporter(pod, second.port);
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
});

test("a pod that starts anew on its node forgets what its last server said, and not that the importer is done", async () => {
  const pod = await makeImagePod({ "disk.img": images.raw });
  const left = ["ready", "ready.failed", "done"];
  for (const name of left) await writeFile(pod.at(`shared/${name}`), "old.img");
  copyServer(pod);
  expect((await readdir(pod.at("shared"))).filter((name) => left.includes(name))).toEqual(["done"]);
  const ended = await startServer(pod).ended;
  expect(ended, ended.log).toMatchObject({ exit: 0 });
});

/** What upstream's server of v1.56 does: no /info, no ETag, one address family, a ready file that is not renamed into place. */
async function startOlderServer(pod: Pod, file: string): Promise<number> {
  const { size, mtime } = await stat(file);
  const server = createServer((request, response) => {
    if (request.url !== "/disk.qcow2") return void response.writeHead(404).end("404 page not found\n");
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
    response.writeHead(range ? 206 : 200, {
      "accept-ranges": "bytes",
      "last-modified": mtime.toUTCString(),
      "content-length": end - start + 1,
      ...(range ? { "content-range": `bytes ${start}-${end}/${size}` } : {}),
    });
    createReadStream(file, { start, end }).pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await writeFile(pod.at("shared/ready"), "disk.qcow2", { mode: 0o600 });
  return (server.address() as AddressInfo).port;
}

test("beside an older server the disk comes without labels, and the done file is made", async () => {
  const pod = await makeImagePod({});
  const ran = await runImporter(pod, startOlderServer(pod, images.qcow2));
  expect(ran, ran.log).toMatchObject({ exit: 0, message: complete });
  expect((ran.message as { labels?: object }).labels ?? {}).toEqual({});
  await expectBytes(pod);
  expect(await readdir(pod.at("shared"))).toContain("done");
});
