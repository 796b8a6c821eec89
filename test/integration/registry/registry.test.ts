// Disks out of a real registry: what is stored comes out, whoever may not have it is told so, and what is not right leaves no disk.
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { registrySource } from "../../../importer/sources/registry/index.ts";
import type { HttpSourceSettings } from "../../../importer/sources/index.ts";
import type { Source } from "../../../src/datapath/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { Secret } from "../../../src/lib/secret.ts";
import { bring, failureOf, makePlace } from "../../support/bring.ts";
import { buildImage, buildIndex, diskImage, packLayer } from "../../support/container-disk.ts";
import { makeRawImage, seededBytes } from "../../support/images.ts";
import { makeFolder } from "../../support/loop.ts";
import {
  listen,
  noRegistry,
  startCuttingProxy,
  startRegistry,
  startTokenServer,
  type Registry,
} from "../../support/registry.ts";
import { sourceMustBehave } from "../../support/source-suite.ts";

const MiB = 2 ** 20;

function sourceOf(url: string, more: Partial<HttpSourceSettings> = {}): Source {
  const source = registrySource({
    url,
    headers: [],
    secretHeaders: [],
    ca: [],
    insecure: true,
    proxy: {},
    log: silentLog,
    ...more,
  });
  onTestFinished(() => source.close());
  return source;
}

const credentials = (user: string, password: string): Partial<HttpSourceSettings> => ({
  username: new Secret(user),
  password: new Secret(password),
});

/** Imports and compares; without scratch space. */
async function expectDisk(source: Source, disk: Buffer): Promise<void> {
  const place = await makePlace();
  const outcome = await bring(source, place, { scratch: "none" });
  expect(outcome.kind).toBe("done");
  expect((await place.disk()).equals(disk)).toBe(true);
}

async function expectNoDisk(source: Source, code: string): Promise<string> {
  const place = await makePlace();
  const failure = await failureOf(bring(source, place));
  expect(failure).toMatchObject({ code });
  expect(await place.left()).toEqual([]);
  return failure.message;
}

describe.skipIf(noRegistry !== undefined)("images in docker-registry", () => {
  const ends: (() => Promise<void>)[] = [];
  let registry: Registry;
  let disk: Buffer;
  let qcow2: Buffer;
  beforeAll(async () => {
    const atEnd = (end: () => Promise<void>): void => void ends.unshift(end);
    registry = await startRegistry({}, atEnd);
    disk = makeRawImage(4 * MiB, 12, 7);
    const folder = await makeFolder("cdi-registry-image-", atEnd);
    await writeFile(join(folder, "disk.img"), disk);
    execFileSync("qemu-img", ["convert", "-c", "-O", "qcow2", join(folder, "disk.img"), join(folder, "disk.qcow2")]);
    qcow2 = await readFile(join(folder, "disk.qcow2"));
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });
  const url = (name: string, host = registry.host): string => `docker://${host}/${name}`;

  describe("every shape of image", () => {
    test.each([
      { form: "gzip", kind: "oci" },
      { form: "zstd", kind: "oci" },
      { form: "plain", kind: "oci" },
      { form: "gzip", kind: "docker" },
      { form: "plain", kind: "docker" },
    ] as const)("a raw disk in a $form layer of $kind", async ({ form, kind }) => {
      await registry.push(`raw-${form}-${kind}`, "1", await diskImage(disk, { form, kind }));
      await expectDisk(sourceOf(url(`raw-${form}-${kind}:1`)), disk);
    });

    test.each(["gzip", "zstd", "plain"] as const)("a qcow2 in a %s layer needs no scratch space", async (form) => {
      await registry.push(`qcow2-${form}`, "1", await diskImage(qcow2, { form }, "disk/disk.qcow2"));
      await expectDisk(sourceOf(url(`qcow2-${form}:1`)), disk);
    });

    test("an archive as the disk lands as it is: the image's layer alone is unpacked", async () => {
      const archive = await packLayer({ "disk.img": disk, "other.txt": "no disk" });
      await registry.push("archive", "1", await diskImage(archive, {}, "disk/disk.tar"));
      await expectDisk(sourceOf(url("archive:1")), archive);
    });

    test("a disk that is compressed itself, in a compressed layer", async () => {
      await registry.push("nested", "1", await diskImage(gzipSync(disk), {}, "./disk/disk.img.gz"));
      await expectDisk(sourceOf(url("nested:1")), disk);
    });

    test("layers base first: empty ones, whiteouts and folders are passed over, the first match ends", async () => {
      const layers = [
        await packLayer({}),
        await packLayer({ "etc/": "", "etc/passwd": "root", "disk/": "" }),
        await packLayer({ "disk/.wh.old.img": "", "other/disk/x": "no" }),
        await packLayer({ "disk/first.img": disk }),
        await packLayer({ "disk/.wh.first.img": "", "disk/second.img": seededBytes(MiB, "second") }),
      ];
      await registry.push("layers", "1", buildImage({ layers }));
      await expectDisk(sourceOf(url("layers:1")), disk);
    });

    test("a layer that is no archive is passed over", async () => {
      const layers = [
        { blob: seededBytes(4096, "noise"), mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" },
        await packLayer({ "disk/disk.img": disk }),
      ];
      await registry.push("noise", "1", buildImage({ layers }));
      await expectDisk(sourceOf(url("noise:1")), disk);
    });

    test.each([
      { when: "a type of its own", mediaType: "application/x-qemu-disk", title: "disk.qcow2" },
      { when: "oras' type of an archive", mediaType: "application/vnd.oci.image.layer.v1.tar", title: "disk.qcow2" },
    ])("an OCI artifact with a disk as a layer of $when", async ({ mediaType, title }) => {
      const artifact = buildImage({
        artifactType: "application/vnd.example.disk",
        layers: [
          { blob: Buffer.from("read me"), mediaType: "text/plain", title: "README" },
          { blob: qcow2, mediaType, title },
        ],
      });
      await registry.push("artifact", "1", artifact);
      await expectDisk(sourceOf(url("artifact:1")), disk);
    });

    test("by digest, and with an image that a tag leads elsewhere from by then", async () => {
      const image = await diskImage(disk);
      await registry.push("digest", "1", image);
      await registry.push("digest", "1", await diskImage(seededBytes(MiB, "new")));
      await expectDisk(sourceOf(url(`digest@${image.digest}`)), disk);
    });

    test("what skopeo pushed", async () => {
      const folder = await makeFolder();
      const archive = join(folder, "image.tar");
      execFileSync("skopeo", [
        "copy",
        "--insecure-policy",
        "--src-tls-verify=false",
        `docker://${registry.host}/raw-gzip-oci:1`,
        `oci-archive:${archive}:mine`,
      ]);
      execFileSync("skopeo", [
        "copy",
        "--insecure-policy",
        "--dest-tls-verify=false",
        `oci-archive:${archive}:mine`,
        `docker://${registry.host}/skopeo:1`,
      ]);
      await expectDisk(sourceOf(url("skopeo:1")), disk);
      await expectDisk(sourceOf(`oci-archive:${archive}:mine`), disk);
      await expectDisk(sourceOf(`oci-archive:${archive}`), disk);
      await expectNoDisk(sourceOf(`oci-archive:${archive}:other`), "SourceNotFound");
    });

    test("docker-archive", async () => {
      const path = join(await makeFolder(), "saved.tar");
      execFileSync("skopeo", [
        "copy",
        "--insecure-policy",
        "--src-tls-verify=false",
        `docker://${registry.host}/raw-gzip-docker:1`,
        `docker-archive:${path}:mine:1`,
      ]);
      await expectDisk(sourceOf(`docker-archive:${path}:mine:1`), disk);
    });
  });

  describe("architectures", () => {
    const disks = new Map(["amd64", "arm64", "s390x"].map((arch) => [arch, seededBytes(MiB, arch)]));
    beforeAll(async () => {
      const images = await Promise.all(
        [...disks].map(([architecture, bytes]) => diskImage(bytes, { architecture, kind: "oci" })),
      );
      await registry.push("three", "1", buildIndex(images));
      await registry.push("three", "docker", buildIndex(images, "docker"));
      const lying = await diskImage(seededBytes(MiB, "lie"), { architecture: "arm64" });
      await registry.push("lying", "1", buildIndex([{ ...lying, architecture: "s390x" }]));
    });

    test.each(["amd64", "arm64", "s390x"])("%s, when it is asked for", async (architecture) => {
      for (const tag of ["1", "docker"]) {
        await expectDisk(sourceOf(url(`three:${tag}`), { architecture }), disks.get(architecture) ?? Buffer.alloc(0));
      }
    });

    test("the machine's own, when none is asked for", async () => {
      const own = process.arch === "x64" ? "amd64" : process.arch;
      await expectDisk(sourceOf(url("three:1")), disks.get(own) ?? Buffer.alloc(0));
    });

    test("one that is not there is none at all", async () => {
      const said = await expectNoDisk(sourceOf(url("three:1"), { architecture: "ppc64le" }), "PlatformMissing");
      expect(said).toContain('no image found in image index for architecture "ppc64le", variant "", OS "linux"');
    });

    test("a single image is checked when one is asked for, and only then", async () => {
      await registry.push("single", "1", await diskImage(disk, { architecture: "arm64" }));
      await expectDisk(sourceOf(url("single:1")), disk);
      await expectDisk(sourceOf(url("single:1"), { architecture: "arm64" }), disk);
      const said = await expectNoDisk(sourceOf(url("single:1"), { architecture: "amd64" }), "PlatformMissing");
      expect(said).toBe(
        'Error validating architecture: manifest image architecture: "arm64" doesn\'t match requested architecture: "amd64"',
      );
    });

    test("an index that says one and leads to another", async () => {
      await expectNoDisk(sourceOf(url("lying:1"), { architecture: "s390x" }), "PlatformMissing");
    });
  });

  describe("who may read", () => {
    test("TLS with an authority of its own: trusted, not given, and another", async () => {
      const other = await startRegistry({ store: registry.store, tls: true });
      const name = url("raw-gzip-oci:1", other.host);
      await expectDisk(sourceOf(name, { insecure: false, ca: [other.ca] }), disk);
      await expectDisk(sourceOf(name, { insecure: true }), disk);
      const said = await expectNoDisk(sourceOf(name, { insecure: false }), "UnknownAuthority");
      expect(said).toMatch(/^failed to pull image: /);
      const stranger = await startRegistry({ store: registry.store, tls: true });
      await expectNoDisk(sourceOf(name, { insecure: false, ca: [stranger.ca] }), "UnknownAuthority");
    });

    test("plain HTTP is not spoken to unless the registry is marked insecure", async () => {
      const failure = await failureOf(bring(sourceOf(url("raw-gzip-oci:1"), { insecure: false }), await makePlace()));
      expect(failure.code).toBe("TlsFailed");
    });

    test("basic auth", async () => {
      const basic = { user: "maria", password: "p:w marked-secret" };
      const other = await startRegistry({ store: registry.store, basic });
      const name = url("raw-gzip-oci:1", other.host);
      await expectDisk(sourceOf(name, credentials(basic.user, basic.password)), disk);
      const auth = Buffer.from(`${basic.user}:${basic.password}`).toString("base64");
      const registryAuth = new Secret(JSON.stringify({ auths: { [`https://${other.host}/v1/`]: { auth } } }));
      await expectDisk(sourceOf(name, { registryAuth }), disk);
      await expectNoDisk(sourceOf(name), "SourceUnauthorized");
      const said = await expectNoDisk(sourceOf(name, credentials("maria", "marked-wrong")), "SourceUnauthorized");
      expect(said).not.toContain("marked");
    });

    test("tokens: fetched with the credentials from where the registry says", async () => {
      const tokens = await startTokenServer("maria", "marked-secret");
      const other = await startRegistry({ store: registry.store, tokens });
      const name = url("raw-gzip-oci:1", other.host);
      await expectDisk(sourceOf(name, credentials("maria", "marked-secret")), disk);
      expect(tokens.requests).toHaveLength(1);
      expect(tokens.requests[0]?.query.get("service")).toBe("test-registry");
      expect(tokens.requests[0]?.query.get("scope")).toBe("repository:raw-gzip-oci:pull");
      await expectNoDisk(sourceOf(name, credentials("maria", "no")), "SourceUnauthorized");
      await expectNoDisk(sourceOf(name), "SourceUnauthorized");
    });

    test("credentials stay with the registry when a blob is elsewhere", async () => {
      const image = await diskImage(disk);
      const seen: (string | undefined)[] = [];
      const store = await listen((incoming, response) => {
        seen.push(incoming.headers.authorization);
        response.end(image.blobs.get(`sha256:${incoming.url?.slice(1)}`));
      });
      const front = await listen((incoming, response) => {
        if (incoming.headers.authorization === undefined)
          return void response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        const path = incoming.url ?? "";
        if (path.includes("/manifests/"))
          return void response.writeHead(200, { "content-type": image.mediaType }).end(image.manifest);
        response.writeHead(307, { location: `${store}/${path.split("sha256:")[1]}` }).end();
      });
      const name = `docker://${front.replace("http://", "")}/x:1`;
      await expectDisk(sourceOf(name, credentials("maria", "marked-secret")), disk);
      expect(seen).toEqual([undefined, undefined]);
    });

    test("an image that is not there", async () => {
      const said = await expectNoDisk(sourceOf(url("nothing:1")), "SourceNotFound");
      expect(said).toMatch(/^failed to pull image: .*404/);
    });
  });

  describe("what is not right leaves no disk", () => {
    test("a blob cut twice in the middle goes on where it was", async () => {
      await registry.push("cut", "1", await diskImage(disk, { form: "plain" }));
      const proxy = await startCuttingProxy(registry.host, [MiB + 17, 2 * MiB], MiB);
      await expectDisk(sourceOf(url("cut:1", proxy.host)), disk);
      expect(proxy.ranges[0]).toBe("bytes=0-");
      expect(proxy.ranges).toHaveLength(3);
      for (const range of proxy.ranges.slice(1)) expect(range).toMatch(/^bytes=[1-9]\d{5,}-$/);
    });

    test("one that is cut again and again without a new byte is given up", async () => {
      const proxy = await startCuttingProxy(registry.host, [MiB, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1000);
      await expectNoDisk(sourceOf(url("raw-plain-oci:1", proxy.host)), "SourceCut");
    }, 60_000);

    test.each([
      { when: "the last byte of a layer that is not compressed", form: "plain", at: -1 },
      { when: "a byte of a gzip header, which no decoder minds", form: "gzip", at: 5 },
      { when: "a byte behind the disk's end", form: "plain", at: -600 },
      { when: "a byte of the disk", form: "plain", at: 5000 },
    ] as const)("$when is wrong", async ({ form, at }) => {
      const image = await diskImage(Buffer.concat([disk, Buffer.from(`${form}${at}`.padEnd(512))]), { form });
      await registry.push("spoiled", "1", image);
      await registry.spoil(image.layers[0]?.digest ?? "", at);
      await expectNoDisk(sourceOf(url("spoiled:1")), "DigestMismatch");
    });

    test("the configuration or the manifest is wrong", async () => {
      const image = await diskImage(disk, { env: ["A=1"] });
      const config = (JSON.parse(image.manifest.toString()) as { config: { digest: string } }).config.digest;
      await registry.push("bad-config", "1", image);
      await registry.spoil(config, 3);
      await expectNoDisk(sourceOf(url("bad-config:1")), "DigestMismatch");
      const front = await listen((_, response) => {
        response.writeHead(200, { "content-type": image.mediaType }).end(image.manifest);
      });
      const name = `docker://${front.replace("http://", "")}/x@sha256:${"0".repeat(64)}`;
      await expectNoDisk(sourceOf(name), "DigestMismatch");
    });

    test.each([
      {
        when: "no disk",
        files: { "etc/passwd": "root" },
        says: "Failed to find VM disk image file in the container image",
      },
      {
        when: "a disk at the top",
        files: { "disk.img": seededBytes(4096, "x") },
        says: "Cannot locate image file: image directory does not exist",
      },
      {
        when: "a folder with the disk's beginning",
        files: { "diskette/x": seededBytes(4096, "x") },
        says: "Cannot locate image file: image directory does not exist",
      },
      {
        when: "a disk one folder deeper",
        files: { "disk/deep/x.img": seededBytes(4096, "x") },
        says: "Cannot locate image file: image directory contains another directory",
      },
    ])("$when", async ({ files, says }) => {
      await registry.push("wrong-place", "1", buildImage({ layers: [await packLayer(files)] }));
      expect(await expectNoDisk(sourceOf(url("wrong-place:1")), "NoDiskInImage")).toContain(says);
    });

    test("a name that leads out", async () => {
      const layers = [await packLayer({ "disk/../../x": seededBytes(4096, "x") })];
      await registry.push("tainted", "1", buildImage({ layers }));
      const said = await expectNoDisk(sourceOf(url("tainted:1")), "ImageRefused");
      expect(said).toContain("content filepath is tainted: disk/../../x");
    });

    test("a container that boots by itself", async () => {
      await registry.push("bootc", "1", await diskImage(disk, { labels: { "containers.bootc": "1" } }));
      expect(await expectNoDisk(sourceOf(url("bootc:1")), "ImageRefused")).toMatch(/^bootc image detected:/);
    });
  });

  test("what the environment says becomes labels", async () => {
    const env = ["PATH=/bin", "INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=fedora", "KUBEVIRT_IO_X_Y=a=b"];
    await registry.push("labels", "1", await diskImage(disk, { env }));
    const source = sourceOf(url("labels:1"));
    await source.facts(new AbortController().signal);
    expect(source.labels?.()).toEqual({
      "instancetype.kubevirt.io/default-preference": "fedora",
      "kubevirt.io/x-y": "a=b",
    });
  });

  sourceMustBehave("a disk in a registry", async (body) => {
    const image = await diskImage(Buffer.from(body), { form: "gzip" });
    await registry.push("suite", image.digest.slice(7, 20), image);
    return sourceOf(url(`suite@${image.digest}`));
  });
});
