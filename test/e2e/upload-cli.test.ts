// `cdi upload` against a cluster in one process with its real proxy, API server and upload pods: a new DataVolume, a file system
// and a device, the CA and --insecure, a run that is killed and goes on, and what is refused.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Claim, ConfigMap } from "../../src/api/core.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import { bundleKey, signers } from "../../src/contract/install-names.ts";
import { cdiNamespace, type Embedded } from "../../src/embedded/index.ts";
import { checkout } from "../support/cdi-up.ts";
import { diskOf, startCluster } from "../support/cluster.ts";
import { ensureBuilt, makeFolder, makeImages, MiB, type Images } from "../integration/importer/world.ts";

const release: (() => Promise<void>)[] = [];
let cluster: Embedded & { dir: string };
let work: string;
let images: Images;
let base: string[];

beforeAll(async () => {
  ensureBuilt();
  const folder = await makeFolder();
  release.push(folder.remove);
  work = folder.path;
  images = await makeImages(work);
  cluster = await startCluster((act) => release.push(act));
  const kubeconfig = join(work, "kubeconfig");
  await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  await cluster.uploadUrl;
  const ref = { kind: kinds.configMap, namespace: cdiNamespace, name: signers.uploadProxy.bundle };
  const map = (await cluster.client.get(ref)) as ConfigMap | undefined;
  await writeFile(join(work, "ca.pem"), map?.data?.[bundleKey] ?? "");
  base = ["--kubeconfig", kubeconfig];
}, 120_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
});

interface Said {
  exit: number | null;
  stdout: string;
  stderr: string;
}
function start(args: readonly string[]) {
  const env = { ...process.env, XDG_STATE_HOME: join(work, "state") };
  const child = spawn(process.execPath, [join(checkout, "dist/cdi.js"), "upload", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Said>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exit) => resolve({ exit, stdout, stderr }));
  });
  return { child, ended };
}
const upload = (...args: string[]): Promise<Said> => start([...args, ...base]).ended;

const claimOf = async (name: string): Promise<Claim> =>
  (await cluster.client.get({ kind: kinds.claim, namespace: "default", name })) as Claim;
async function expectFilled(name: string, bytes = images.bytes): Promise<void> {
  const disk = await diskOf(cluster, name);
  expect(disk?.subarray(0, bytes.length).equals(bytes)).toBe(true);
}

test("a qcow2 fills a DataVolume that is made for it, as large as its disk; who signed the proxy is asked", async () => {
  const said = await upload(images.qcow2, "dv/made", "--ca", join(work, "ca.pem"), "--force-bind", "--wait");
  expect(said).toMatchObject({ exit: 0, stderr: "" });
  expect(said.stdout).toMatch(/is in dv\/made: .* sent in /);
  await expectFilled("made");
  const distrusted = await upload(images.raw, "dv/distrusted", "--force-bind");
  expect(distrusted).toMatchObject({ exit: 80 });
  expect(distrusted.stderr).toContain("UnknownAuthority");
  const again = await upload(images.qcow2, "dv/made", "--insecure");
  expect(again).toMatchObject({ exit: 113 });
  expect(again.stderr).toContain("dv/made is already filled");
});

test("a block volume, any certificate accepted, told as JSON", async () => {
  const said = await upload(
    images.raw,
    "dv/block",
    "--block",
    "--insecure",
    "--force-bind",
    "--wait",
    "--output",
    "json",
  );
  expect(said).toMatchObject({ exit: 0 });
  expect(JSON.parse(said.stdout)).toMatchObject({ ok: true, dataVolume: "block", bytesSent: 16 * MiB, resumedFrom: 0 });
  expect((await claimOf("block")).spec.volumeMode).toBe("Block");
  await expectFilled("block");
});

test("a run that is killed goes on with the next one, and little is sent twice", async () => {
  const path = join(work, "large.img");
  const bytes = randomBytes(200 * MiB);
  await writeFile(path, bytes);
  const first = start([path, "dv/large", "--insecure", "--force-bind", ...base]);
  const state = join(work, "state");
  // The note is there once the upload has begun; the server's offset tells how far it is.
  const note = async (): Promise<string | undefined> => {
    const out = execFileSync("sh", ["-c", `find "$0" -name "*.json" 2>/dev/null || true`, state], {
      encoding: "utf8",
    }).trim();
    return out === "" ? undefined : (JSON.parse(await readFile(out, "utf8")) as { url: string }).url;
  };
  await expect.poll(note, { timeout: 60_000 }).toMatch(/upload-tus\//);
  await expect
    .poll(
      async () => {
        const dv = (await cluster.client.get({
          kind: kinds.dataVolume,
          namespace: "default",
          name: "large",
        })) as DataVolume;
        return dv.status?.phase;
      },
      { timeout: 60_000 },
    )
    .toBe("UploadReady");
  first.child.kill("SIGKILL");
  expect((await first.ended).exit).toBe(null);
  const second = await upload(path, "dv/large", "--insecure", "--wait", "--output", "json");
  expect(second).toMatchObject({ exit: 0 });
  const told = JSON.parse(second.stdout) as { bytesSent: number; resumedFrom: number };
  expect(told.bytesSent + told.resumedFrom).toBe(bytes.length);
  await expectFilled("large", bytes);
});

test("what is refused says why, before and after the bytes went", async () => {
  const small = await upload(images.raw, "dv/small", "--insecure", "--force-bind", "--size", "8Mi");
  expect(small).toMatchObject({ exit: 113 });
  expect(small.stderr).toContain("is larger than the reported available storage");
  const page = join(work, "page.img");
  await writeFile(page, `<!DOCTYPE html><html>${" ".repeat(4096)}</html>`);
  expect((await upload(page, "dv/page", "--insecure")).exit).toBe(68);
  execFileSync("gzip", ["-kf", images.raw]);
  const sizeless = await upload(`${images.raw}.gz`, "dv/sizeless", "--insecure");
  expect(sizeless).toMatchObject({ exit: 2 });
  expect(sizeless.stderr).toContain("give --size");
  expect((await upload(images.raw, "pod/x", "--insecure")).exit).toBe(2);
});
