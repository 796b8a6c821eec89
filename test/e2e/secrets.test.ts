// Credentials of every kind, right and wrong: none of them shows in a log, an event, a status, an argument, a termination
// message, or the environment of a tool that an importer starts.
import { afterEach, expect, test } from "vitest";
import { gzipSync } from "node:zlib";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { noLoops } from "../support/loop.ts";
import { removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";
import { holdTool } from "../support/held-tool.ts";
import { startHttpServer } from "../support/http-server.ts";
import { markedSecret, sightingsIn, watchProcesses } from "../support/secret-scan.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const run = promisify(execFile);
const running: CdiUp[] = [];
afterEach(async () => {
  for (const up of running.splice(0)) {
    await up.stop();
    await removeDir(up.dir);
  }
});

const secrets = {
  password: markedSecret("password"),
  wrong: markedSecret("wrong"),
  header: markedSecret("header"),
  url: markedSecret("url"),
};
const all = Object.values(secrets);

async function vmdkOf(image: Buffer): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "cdi-secrets-"));
  const [raw, vmdk] = [join(folder, "raw"), join(folder, "vmdk")];
  await writeFile(raw, image);
  await run("qemu-img", ["convert", "-f", "raw", "-O", "vmdk", raw, vmdk]);
  const bytes = await readFile(vmdk);
  await rm(folder, { recursive: true });
  return bytes;
}

const secret = (name: string, data: Record<string, string>): object => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name },
  stringData: data,
});
const dataVolume = (name: string, http: object): object => ({
  apiVersion: "cdi.kubevirt.io/v1beta1",
  kind: "DataVolume",
  metadata: { name, annotations: { "cdi.kubevirt.io/storage.pod.retainAfterCompletion": "true" } },
  spec: {
    source: { http },
    pvc: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "48Mi" } } },
  },
});

// Root: a conversion of a small image is over before any look at the processes; only a held one is seen for certain.
test.skipIf(noLoops)(
  "no secret shows anywhere",
  async () => {
    const image = makeSparseImage(16 * mib, 30, 4);
    const files = { "/disk.img": image, "/disk.img.gz": gzipSync(image), "/disk.vmdk": await vmdkOf(image) };
    const slow = { bytesPerSecond: 8 * mib };
    const guarded = await startHttpServer({ files, auth: { user: "user", password: secrets.password }, faults: slow });
    const headed = await startHttpServer({ files, requiredHeaders: { "x-token": secrets.header }, faults: slow });
    const away = await startHttpServer({ redirects: { "/disk.img": headed.url("/disk.img") } });
    const held = await holdTool("qemu-img");
    const isTool = (argv: string): boolean => /^(\/bin\/sh )?(\S*\/)?(qemu-img|xz|zstd|prlimit|tar) /.test(argv);
    const seen = watchProcesses(all, isTool, (argv) => argv.includes("qemu-img") && held.release());
    const args = ["--no-sample", "-v", "5"];
    const up = await startCdiUp({ dir: await temporaryDir(), args, prefix: held.prefix });
    running.push(up);
    const userUrl = guarded.url("/disk.img").replace("//", `//user:${secrets.url}@`);
    const items = [
      secret("right", { accessKeyId: "user", secretKey: secrets.password }),
      secret("wrong", { accessKeyId: "user", secretKey: secrets.wrong }),
      secret("token", { token: `X-Token: ${secrets.header}` }),
      dataVolume("basic", { url: guarded.url("/disk.img.gz"), secretRef: "right" }),
      dataVolume("converted", { url: guarded.url("/disk.vmdk"), secretRef: "right" }),
      dataVolume("refused", { url: guarded.url("/disk.img"), secretRef: "wrong" }),
      dataVolume("headed", { url: headed.url("/disk.img"), secretExtraHeaders: ["token"] }),
      dataVolume("dropped", { url: away.url("/disk.img"), secretExtraHeaders: ["token"] }),
      dataVolume("in-the-url", { url: userUrl }),
    ];
    await up.kubectlWith(JSON.stringify({ apiVersion: "v1", kind: "List", items }), "apply", "-f", "-");
    const transferCode = (name: string) => () =>
      up.kubectl("get", "dv", name, "-o", "jsonpath={.status.transfer.code}");
    for (const name of ["basic", "converted", "headed"]) {
      await up.kubectl("wait", "--for=condition=Ready", `dv/${name}`, "--timeout=120s");
    }
    for (const name of ["refused", "dropped", "in-the-url"]) {
      await expect
        .poll(transferCode(name), { timeout: 60_000, interval: 200 })
        .toMatch(/^Source(Unauthorized|Forbidden|Refused)$/);
    }
    const texts: Record<string, string> = { "what cdi up printed": up.printed() };
    for (const kind of ["events", "persistentvolumes"]) {
      texts[kind] = await up.kubectl("get", kind, "-A", "-o", "json");
    }
    for (const kind of ["datavolumes", "persistentvolumeclaims", "pods"]) {
      const { items: objects } = JSON.parse(await up.kubectl("get", kind, "-o", "json")) as {
        items: { status: object }[];
      };
      // A URL that holds a password stands in the spec its user wrote, and in upstream's annotation of it.
      texts[`status of ${kind}`] = JSON.stringify(objects.map(({ status }) => status));
    }
    for (const name of ["basic", "converted", "headed", "refused", "dropped", "in-the-url"]) {
      texts[`described ${name}`] = (await up.kubectl("describe", "dv", name)).replaceAll(/^.*url:.*$/gim, "");
      texts[`log of ${name}`] = await up.kubectl("logs", `importer-${name}`);
    }
    // Of every container that ran, what it wrote and said last.
    const left = await readdir(join(up.dir, "pods"), { recursive: true, withFileTypes: true });
    for (const file of left.filter((one) => one.isFile() && !one.parentPath.includes("/volumes/"))) {
      const path = join(file.parentPath, file.name);
      texts[path] = await readFile(path, "utf8");
    }
    expect(
      Object.values(texts).filter((text) => text.includes("Refusing") || text.includes("The import failed")).length,
    ).toBeGreaterThan(2);
    const { sightings, picked } = seen();
    expect([...picked].some((argv) => argv.endsWith("qemu-img"))).toBe(true);
    const found = Object.entries(texts).flatMap(([where, text]) => sightingsIn(where, text, all));
    expect([...found, ...sightings]).toEqual([]);
  },
  240_000,
);
