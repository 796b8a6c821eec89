// What fault-rows.test.ts needs to make each row of fault-rows.ts happen: a server, a volume or a cluster that goes wrong so.
import { once } from "node:events";
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { kinds } from "../../src/api/kinds.ts";
import type { Embedded } from "../../src/embedded/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { issueCertificate, makeAuthority } from "../../src/pki/index.ts";
import type { Wish } from "../support/cluster.ts";
import { startHttpServer, type HttpServerOptions, type HttpTestServer } from "../support/http-server.ts";
import { makeExt4, makeFolder, noLoops, type AtEnd } from "../support/loop.ts";
import { runText } from "../support/run-text.ts";
import { tarEnd, tarFile } from "../support/tars.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const run = promisify(execFile);
export const mib = 1024 * 1024;
const hour = 3_600_000;
export const image = makeSparseImage(4 * mib, 40, 41);
/** Every byte counts: it cannot be written as holes. */
const dense = Buffer.alloc(12 * mib, 0x5a);

export interface World {
  wish: Partial<Wish>;
  /** Acts once the DataVolume exists. */
  meanwhile?: () => Promise<void>;
}
export interface MadeWorlds {
  worlds: Readonly<Record<string, (name: string) => Promise<World>>>;
  /** Reasons why a row cannot be shown on this machine. */
  impossible: Readonly<Record<string, string | undefined>>;
  one(path: string, body: Uint8Array, faults?: HttpServerOptions["faults"]): Promise<World>;
}

export async function makeWorlds(cluster: Embedded, atEnd: AtEnd): Promise<MadeWorlds> {
  const authority = await makeAuthority("rows authority", hour, systemClock);
  await fill(cluster, authority.certificate);
  const bodies = await makeBodies(atEnd);

  async function serve(options: HttpServerOptions): Promise<HttpTestServer> {
    const server = await startHttpServer(options, "keep");
    atEnd(() => server.close());
    return server;
  }
  /** A server that hands out one file under a path, with its faults. */
  async function one(path: string, body: Uint8Array, faults: HttpServerOptions["faults"] = {}): Promise<World> {
    const server = await serve({ files: { [path]: body }, faults });
    return { wish: { url: server.url(path) } };
  }
  async function withCertificate(dnsNames: string[], notBefore: number, notAfter: number): Promise<World> {
    const ips = dnsNames.includes("localhost") ? ["127.0.0.1"] : [];
    const pair = await issueCertificate(authority, {
      commonName: "rows",
      dnsNames,
      ips,
      usages: ["server"],
      notBefore,
      notAfter,
    });
    const server = await serve({ files: { "/a.img": image }, tls: pair });
    return { wish: { url: server.url("/a.img"), http: { certConfigMap: "rows-ca" } } };
  }
  const small = (world: World): World => ({ ...world, wish: { ...world.wish, size: "2Mi", mode: "Block" } });
  /** An image as it is, and a field of the DataVolume that leads nowhere. */
  async function naming(more: Partial<Wish>): Promise<World> {
    const { wish } = await one("/a.img", image);
    return { wish: { ...wish, ...more } };
  }

  async function archive(body: Uint8Array): Promise<World> {
    const { wish } = await one("/a.tar", body);
    return { wish: { ...wish, contentType: "archive" } };
  }

  /** A volume of the administrator's, which the claim names. */
  async function onVolume(name: string, path: string, mode: "Filesystem" | "Block", url: string): Promise<World> {
    const spec = {
      capacity: { storage: "16Mi" },
      accessModes: ["ReadWriteOnce"],
      volumeMode: mode,
      storageClassName: "",
      local: { path },
      persistentVolumeReclaimPolicy: "Retain",
    };
    await cluster.client.create({ apiVersion: "v1", kind: "PersistentVolume", metadata: { name }, spec }, kinds.volume);
    return { wish: { url, mode, storageClass: "", volumeName: name } };
  }

  /** A directory on a disk that others write to, as local volumes often are. */
  async function onFillingDisk(name: string): Promise<World> {
    const disk = await makeExt4(24 * mib, atEnd);
    const server = await serve({ files: { "/a.img": dense }, faults: { bytesPerSecond: 4 * mib } });
    const { wish } = await onVolume(name, disk, "Filesystem", server.url("/a.img"));
    return {
      wish,
      async meanwhile() {
        while (!server.requests.some(({ bodyBytes }) => bodyBytes > mib)) await systemClock.sleep(20);
        // A neighbour takes the rest; ext4 gives up with a short write, which is what is wanted.
        await run("sh", ["-c", 'cat /dev/zero > "$0" || :', join(disk, "neighbour")]);
        server.faults = {};
      },
    };
  }

  /** A file system that the kernel takes read-only. */
  async function onReadOnly(name: string): Promise<World> {
    const path = join(await makeFolder("cdi-rows-", atEnd), "volume.img");
    await writeFile(path, "");
    await run("truncate", ["-s", "16M", path]);
    await run("mkfs.ext4", ["-q", "-m", "0", path]);
    await run("tune2fs", ["-O", "read-only", path]);
    const server = await serve({ files: { "/a.img": image } });
    return onVolume(name, path, "Filesystem", server.url("/a.img"));
  }

  /** A device whose own storage fails in the middle: its file lies on a file system that the kernel then shuts off. */
  async function onDyingDevice(name: string): Promise<World> {
    const disk = await makeExt4(32 * mib, atEnd);
    await run("mount", ["-o", "remount,errors=remount-ro", disk]);
    const path = join(disk, "device.img");
    await run("truncate", ["-s", "16M", path]);
    const { stdout } = await run("findmnt", ["-n", "-o", "SOURCE", disk]);
    const server = await serve({ files: { "/a.img": dense }, faults: { bytesPerSecond: 4 * mib } });
    const { wish } = await onVolume(name, path, "Block", server.url("/a.img"));
    return {
      wish,
      async meanwhile() {
        while (!server.requests.some(({ bodyBytes }) => bodyBytes > mib)) await systemClock.sleep(20);
        await writeFile(`/sys/fs/ext4/${basename(stdout.trim())}/trigger_fs_error`, "the test ends this disk");
        server.faults = {};
      },
    };
  }

  // At the same byte each time: one that stops after so many bytes of every answer only makes an import slow.
  const stopsSending = { stallAtByte: mib };
  const worlds: MadeWorlds["worlds"] = {
    "404": async () => ({ wish: { url: (await serve({})).url("/a.img") } }),
    async "401"() {
      const server = await serve({ files: { "/a.img": image }, auth: { user: "x", password: "y" } });
      return { wish: { url: server.url("/a.img"), http: { secretRef: "rows-login" } } };
    },
    async "403"() {
      const server = await serve({ files: { "/a.img": image }, requiredHeaders: { "x-pass": "1" } });
      return { wish: { url: server.url("/a.img") } };
    },
    "410": () => one("/a.img", image, { status: 410 }),
    "416 to every request": () => one("/a.img", image, { status: 416 }),
    "429 with Retry-After, for ever": () => one("/a.img", image, { status: 429, headers: { "retry-after": "1" } }),
    "500, for ever": () => one("/a.img", image, { status: 500 }),
    "a host name nobody knows": async () => ({ wish: { url: "http://no-such-host.invalid/a.img" } }),
    "a port nobody listens on": async () => ({ wish: { url: `http://127.0.0.1:${await closedPort()}/a.img` } }),
    async "a certificate of an unknown authority"() {
      return { wish: { url: (await serve({ files: { "/a.img": image }, tls: true })).url("/a.img") } };
    },
    "an expired certificate": () => withCertificate(["localhost"], Date.now() - 2 * hour, Date.now() - hour),
    "a certificate for another host": () => withCertificate(["elsewhere.test"], Date.now() - hour, Date.now() + hour),
    async "plain HTTP where https was asked for"() {
      const { wish } = await one("/a.img", image);
      return { wish: { url: wish.url?.replace("http:", "https:") ?? "" } };
    },
    async "a redirect loop"() {
      return { wish: { url: (await serve({ redirects: { "/a.img": "/b.img", "/b.img": "/a.img" } })).url("/a.img") } };
    },
    async "a redirect to another origin that wants the login"() {
      const auth = { user: "admin", password: "password" };
      const far = await serve({ files: { "/a.img": image }, auth });
      const near = await serve({ redirects: { "/a.img": far.url("/a.img") }, auth });
      return { wish: { url: near.url("/a.img"), http: { secretRef: "rows-login" } } };
    },
    "an HTML page": () =>
      one("/a.img", Buffer.from(`<!DOCTYPE html><html><title>Log in</title>${" ".repeat(600)}</html>`)),
    "a JSON document": () =>
      one("/a.img", Buffer.from(JSON.stringify({ error: "no such image", pad: " ".repeat(600) }))),
    "a zip archive": () => one("/a.img", Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), image])),
    "noise named .qcow2": () => one("/a.qcow2", image),
    "an empty file": () => one("/a.img", Buffer.alloc(0)),
    "a truncated gz": () => one("/a.img.gz", half(bodies.gz)),
    "a truncated xz": () => one("/a.img.xz", half(bodies.xz)),
    "a truncated zst": () => one("/a.img.zst", half(bodies.zst)),
    "a truncated qcow2": () => one("/a.qcow2", half(bodies.qcow2)),
    "a qcow2 with a backing file": () => one("/a.qcow2", bodies.backed),
    "Content-Length longer than the body": () => one("/a.img", image, { lieBytes: mib, ranges: false }),
    "Content-Length shorter than the body, of a gz": () =>
      one("/a.img.gz", bodies.gz, { lieBytes: -1000, ranges: false }),
    "a connection cut in the middle": () => one("/a.img", image, { cutAtByte: mib }),
    "a server that stops sending, and keeps the connection": () => one("/a.img", image, stopsSending),
    "a claim too small for a raw image": async () => small(await one("/a.img", image)),
    "a claim too small for what unpacks": async () => small(await one("/a.img.gz", bodies.gz)),
    "a claim too small for a qcow2's virtual size": async () => small(await one("/a.qcow2", bodies.qcow2)),
    "a qcow2 of 200 KiB, and of 1 TiB as it says itself": () => one("/a.qcow2", bodies.vast),
    async "a qcow2 of a size that its own tables do not cover"() {
      const { wish } = await one("/a.qcow2", ofSize(bodies.qcow2, 600 * mib));
      return { wish: { ...wish, size: "1Gi" } };
    },
    "the disk behind the claim fills up": onFillingDisk,
    "a target that is read-only": onReadOnly,
    "the target's device is gone": onDyingDevice,
    "an archive that is no tar": () => archive(Buffer.alloc(8192, "not a tar ")),
    "an archive that ends too early": () => archive(tarFile({ name: "a" }, dense).subarray(0, mib)),
    "an archive with a name that leads out of the volume": () =>
      archive(Buffer.concat([tarFile({ name: "../new" }, "x"), tarEnd])),
    "an archive that writes through a link": () =>
      archive(
        Buffer.concat([tarFile({ name: "a", flag: "2", linkname: "/tmp" }), tarFile({ name: "a/b" }, "x"), tarEnd]),
      ),
    "an archive larger than its claim": () =>
      archive(Buffer.concat([tarFile({ name: "a" }, dense), tarFile({ name: "b" }, dense), tarEnd])),
    async "an archive onto a block device"() {
      const { wish } = await archive(Buffer.concat([tarFile({ name: "a" }, "x"), tarEnd]));
      return { wish: { ...wish, mode: "Block" } };
    },
    async "the wrong checksum"() {
      const { wish } = await one("/a.img", image);
      return { wish: { ...wish, http: { checksum: `sha1:${"1".repeat(40)}` } } };
    },
    "the Secret of its login is missing": () => naming({ http: { secretRef: "rows-nowhere" } }),
    "the Secret of its login lacks a key": () => naming({ http: { secretRef: "rows-half" } }),
    "the ConfigMap of its certificates is missing": () => naming({ http: { certConfigMap: "rows-nowhere" } }),
    "the storage class of its claim is missing": () => naming({ storageClass: "rows-nowhere" }),
    "the storage class of spec.storage is missing, and no access mode is given": () =>
      naming({ storageClass: "rows-nowhere", asStorage: true }),
  };
  const needsLoops = [
    "the disk behind the claim fills up",
    "a target that is read-only",
    "the target's device is gone",
  ];
  return { worlds, one, impossible: Object.fromEntries(needsLoops.map((when) => [when, noLoops])) };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The objects the rows name. */
async function fill({ client }: Embedded, certificate: string): Promise<void> {
  const metadata = (name: string) => ({ name, namespace: "default" });
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("rows-ca"), data: { "ca.pem": certificate } };
  await client.create(map, kinds.configMap);
  const login = { accessKeyId: base64("admin"), secretKey: base64("password") };
  const secret = { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: metadata("rows-login"), data: login };
  await client.create(secret, kinds.secret);
  const half = { accessKeyId: login.accessKeyId };
  await client.create({ ...secret, metadata: metadata("rows-half"), data: half }, kinds.secret);
}

async function makeBodies(atEnd: AtEnd) {
  const folder = await makeFolder("cdi-rows-", atEnd);
  const path = (name: string): string => join(folder, name);
  await writeFile(path("a"), image);
  await runText("gzip", ["-1", "-k", path("a")]);
  await runText("xz", ["-1", "-k", path("a")]);
  await runText("zstd", ["-q", "-1", path("a")]);
  await runText("qemu-img", ["convert", "-O", "qcow2", path("a"), path("a.qcow2")]);
  await runText("qemu-img", ["create", "-q", "-f", "qcow2", "-b", path("a"), "-F", "raw", path("b.qcow2")]);
  await runText("qemu-img", ["create", "-q", "-f", "qcow2", path("c.qcow2"), "1T"]);
  const read = (name: string): Promise<Buffer> => readFile(path(name));
  const bodies = {
    gz: await read("a.gz"),
    xz: await read("a.xz"),
    zst: await read("a.zst"),
    qcow2: await read("a.qcow2"),
    backed: await read("b.qcow2"),
    vast: await read("c.qcow2"),
  };
  await rm(folder, { recursive: true });
  return bodies;
}

const half = (bytes: Buffer): Buffer => bytes.subarray(0, Math.floor(bytes.length / 2));

/** The same qcow2 with another virtual size in its header. */
function ofSize(qcow2: Buffer, bytes: number): Buffer {
  const changed = Buffer.from(qcow2);
  changed.writeBigUInt64BE(BigInt(bytes), 24);
  return changed;
}

async function closedPort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}
