// Every row of fault-rows.ts on an embedded cluster, with a real server of its own: code, text, attempts, phase, events.
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { issueCertificate, makeAuthority } from "../../src/pki/index.ts";
import {
  conditionOf,
  dataVolumeOf,
  diskOf,
  eventsAbout,
  history,
  holdsImage,
  phaseIs,
  startCluster,
  type Wish,
} from "../support/cluster.ts";
import { startHttpServer, type HttpServerOptions, type HttpTestServer } from "../support/http-server.ts";
import { makeFolder } from "../support/loop.ts";
import { runText } from "../support/run-text.ts";
import { makeSparseImage } from "../support/sparse-image.ts";
import { faultRows, type FaultRow } from "./fault-rows.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(4 * mib, 40, 41);
const hour = 3_600_000;
const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void>): number => release.push(act);
let cluster: Embedded;
let bodies: Record<"gz" | "xz" | "zst" | "qcow2" | "backed", Buffer>;
/** ConfigMap key of the authority that signs `tls` servers' odd certificates. */
let authority: { certificate: string; key: string };

beforeAll(async () => {
  cluster = await startCluster(atEnd, { maxRunning: 6 });
  bodies = await makeBodies();
  authority = await makeAuthority("rows authority", hour, systemClock);
  const { apiVersion, kind } = kinds.configMap;
  const object = {
    apiVersion,
    kind,
    metadata: { name: "rows-ca", namespace: "default" },
    data: { "ca.pem": authority.certificate },
  };
  await cluster.client.create(object, kinds.configMap);
  const login = { accessKeyId: "YWRtaW4=", secretKey: "cGFzc3dvcmQ=" };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "rows-login", namespace: "default" },
    type: "Opaque",
    data: login,
  };
  await cluster.client.create(secret, kinds.secret);
}, 120_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

async function makeBodies(): Promise<typeof bodies> {
  const folder = await makeFolder("cdi-rows-", atEnd);
  const path = (name: string): string => join(folder, name);
  await writeFile(path("a"), image);
  await runText("gzip", ["-1", "-k", path("a")]);
  await runText("xz", ["-1", "-k", path("a")]);
  await runText("zstd", ["-q", "-1", path("a")]);
  await runText("qemu-img", ["convert", "-O", "qcow2", path("a"), path("a.qcow2")]);
  await runText("qemu-img", ["create", "-q", "-f", "qcow2", "-b", path("a"), "-F", "raw", path("b.qcow2")]);
  const read = (name: string): Promise<Buffer> => readFile(path(name));
  return {
    gz: await read("a.gz"),
    xz: await read("a.xz"),
    zst: await read("a.zst"),
    qcow2: await read("a.qcow2"),
    backed: await read("b.qcow2"),
  };
}

const half = (bytes: Buffer): Buffer => bytes.subarray(0, Math.floor(bytes.length / 2));

async function serve(options: HttpServerOptions): Promise<HttpTestServer> {
  const server = await startHttpServer(options, "keep");
  atEnd(() => server.close());
  return server;
}
/** A server that hands out one file under a path, with its faults. */
async function one(path: string, body: Uint8Array, faults: HttpServerOptions["faults"] = {}): Promise<Partial<Wish>> {
  const server = await serve({ files: { [path]: body }, faults });
  return { url: server.url(path) };
}
async function withCertificate(dnsNames: string[], notBefore: number, notAfter: number): Promise<Partial<Wish>> {
  const pair = await issueCertificate(authority, {
    commonName: "rows",
    dnsNames,
    ips: dnsNames.includes("localhost") ? ["127.0.0.1"] : [],
    usages: ["server"],
    notBefore,
    notAfter,
  });
  const server = await serve({ files: { "/a.img": image }, tls: pair });
  return { url: server.url("/a.img"), http: { certConfigMap: "rows-ca" } };
}
async function closedPort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

const worlds: Record<(typeof faultRows)[number]["when"], () => Promise<Partial<Wish>>> = {
  "404": async () => ({ url: (await serve({})).url("/a.img") }),
  "401": async () => ({
    url: (await serve({ files: { "/a.img": image }, auth: { user: "x", password: "y" } })).url("/a.img"),
    http: { secretRef: "rows-login" },
  }),
  "403": async () => ({
    url: (await serve({ files: { "/a.img": image }, requiredHeaders: { "x-pass": "1" } })).url("/a.img"),
  }),
  "410": () => one("/a.img", image, { status: 410 }),
  "416 to every request": () => one("/a.img", image, { status: 416 }),
  "429 with Retry-After, for ever": () => one("/a.img", image, { status: 429, headers: { "retry-after": "1" } }),
  "500, for ever": () => one("/a.img", image, { status: 500 }),
  "a host name nobody knows": async () => ({ url: "http://no-such-host.invalid/a.img" }),
  "a port nobody listens on": async () => ({ url: `http://127.0.0.1:${await closedPort()}/a.img` }),
  "a certificate of an unknown authority": async () => ({
    url: (await serve({ files: { "/a.img": image }, tls: true })).url("/a.img"),
  }),
  "an expired certificate": () => withCertificate(["localhost"], Date.now() - 2 * hour, Date.now() - hour),
  "a certificate for another host": () => withCertificate(["elsewhere.test"], Date.now() - hour, Date.now() + hour),
  "plain HTTP where https was asked for": async () => ({
    url: (await serve({ files: { "/a.img": image } })).url("/a.img").replace("http:", "https:"),
  }),
  "a redirect loop": async () => ({
    url: (await serve({ redirects: { "/a.img": "/b.img", "/b.img": "/a.img" } })).url("/a.img"),
  }),
  async "a redirect to another origin that wants the login"() {
    const auth = { user: "admin", password: "password" };
    const far = await serve({ files: { "/a.img": image }, auth });
    const near = await serve({ redirects: { "/a.img": far.url("/a.img") }, auth });
    return { url: near.url("/a.img"), http: { secretRef: "rows-login" } };
  },
  "an HTML page": () =>
    one("/a.img", Buffer.from(`<!DOCTYPE html><html><title>Log in</title>${" ".repeat(600)}</html>`)),
  "a JSON document": () => one("/a.img", Buffer.from(JSON.stringify({ error: "no such image", pad: " ".repeat(600) }))),
  "a zip archive": () => one("/a.img", Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), image])),
  "noise named .qcow2": () => one("/a.qcow2", image),
  "an empty file": () => one("/a.img", Buffer.alloc(0)),
  "a truncated gz": () => one("/a.img.gz", half(bodies.gz)),
  "a truncated xz": () => one("/a.img.xz", half(bodies.xz)),
  "a truncated zst": () => one("/a.img.zst", half(bodies.zst)),
  "a truncated qcow2": () => one("/a.qcow2", half(bodies.qcow2)),
  "a qcow2 with a backing file": () => one("/a.qcow2", bodies.backed),
  "Content-Length longer than the body": () => one("/a.img", image, { lieBytes: mib }),
  "a connection cut in the middle": () => one("/a.img", image, { cutAfterBytes: mib }),
  "a claim too small for a raw image": async () => ({ ...(await one("/a.img", image)), size: "2Mi", mode: "Block" }),
  "a claim too small for what unpacks": async () => ({
    ...(await one("/a.img.gz", bodies.gz)),
    size: "2Mi",
    mode: "Block",
  }),
  "a claim too small for a qcow2's virtual size": async () => ({
    ...(await one("/a.qcow2", bodies.qcow2)),
    size: "2Mi",
    mode: "Block",
  }),
  "the wrong checksum": async () => ({ ...(await one("/a.img", image)), http: { checksum: `sha1:${"1".repeat(40)}` } }),
};

/** Enough to see that it is tried on where the others would have given up. */
const restartsOfAlways = 5;

test.concurrent.each(faultRows.map((row, index) => ({ ...(row as FaultRow), name: `row-${index}` })))(
  "$when",
  { timeout: 120_000 },
  async ({ when, code, attempts, text, name }) => {
    const wish: Wish = { name, size: "16Mi", ...(await worlds[when as keyof typeof worlds]()) };
    await cluster.client.create(dataVolumeOf(wish), kinds.dataVolume);
    const isOver = (dv: DataVolume): boolean =>
      phaseIs("Failed", "Succeeded")(dv) ||
      (attempts === "always" && (dv.status?.restartCount ?? 0) >= restartsOfAlways);
    const states = await history<DataVolume>(cluster, kinds.dataVolume, name, isOver, 90_000);
    const last = states.at(-1) as DataVolume;
    expect(last.status?.phase).toBe(attempts === "always" ? "ImportInProgress" : "Failed");
    expect(last.status?.transfer).toMatchObject({ code });
    expect(conditionOf(last, "Stalled")).toMatchObject({ status: "True", reason: code });
    const texts = states.map((one) => conditionOf(one, "Running")?.message ?? "");
    expect(texts).toContainEqual(expect.stringContaining(text));
    if (attempts !== "always") {
      expect(texts.at(-1)).toContain(text);
      expect(last.status?.restartCount ?? 0).toBe(attempts - 1);
      if (attempts > 1) expect(states.some(phaseIs("ImportInProgress"))).toBe(true);
      await expect
        .poll(() => cluster.client.get({ kind: kinds.pod, namespace: "default", name: `importer-${name}` }), {
          timeout: 10_000,
        })
        .toBeUndefined();
      const disk = await diskOf(cluster, name);
      if (disk) expect(holdsImage(disk, image)).toBe(false);
    }
    const told = async (): Promise<number> =>
      (await eventsAbout(cluster, name, "DataVolume")).filter((event) => event.reason === code).length;
    await expect.poll(told, { timeout: 5_000 }).toBe(1);
    await cluster.client.delete({ kind: kinds.dataVolume, namespace: "default", name });
  },
);

test.concurrent.each([
  { when: "503 three times, then fine", faults: { status: 503, times: 3 } },
  { when: "429 with Retry-After once, then fine", faults: { status: 429, headers: { "retry-after": "1" }, times: 1 } },
  { when: "a slow start", faults: { delayMs: 3000, times: 1 } },
  { when: "no ranges and no validator", faults: { ranges: false, etag: "" } },
])("$when, succeeds", { timeout: 90_000 }, async ({ when, faults }) => {
  const name = `fine-${when.replaceAll(/\W+/g, "-").toLowerCase()}`;
  await cluster.client.create(
    dataVolumeOf({ name, size: "16Mi", ...(await one("/a.img", image, faults)) }),
    kinds.dataVolume,
  );
  await history<DataVolume>(cluster, kinds.dataVolume, name, phaseIs("Succeeded"), 60_000);
  expect(holdsImage((await diskOf(cluster, name)) as Buffer, image)).toBe(true);
});
