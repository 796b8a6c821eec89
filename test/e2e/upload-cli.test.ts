// `cdi upload` against a cluster in one process with its real proxy, API server and upload pods: a new DataVolume, a file system
// and a device, the CA and --insecure, a run that is killed and goes on, and what is refused.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CdiConfig } from "../../src/api/cdi-config.ts";
import type { Claim, ConfigMap } from "../../src/api/core.ts";
import { kinds } from "../../src/api/kinds.ts";
import { chunkBytes } from "../../src/cli/upload/send.ts";
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
  return { child, ended, stderr: () => stderr };
}
const upload = (...args: string[]): Promise<Said> => start([...args, ...base]).ended;

const claimOf = async (name: string): Promise<Claim> =>
  (await cluster.client.get({ kind: kinds.claim, namespace: "default", name })) as Claim;
async function expectFilled(name: string, bytes = images.bytes): Promise<void> {
  const disk = await diskOf(cluster, name);
  expect(disk?.subarray(0, bytes.length).equals(bytes)).toBe(true);
}

test("a qcow2 fills a DataVolume that is made for it, as large as its disk; who signed the proxy is asked", async () => {
  const said = await upload(images.qcow2, "dv/made", "--force-bind", "--wait");
  expect(said).toMatchObject({ exit: 0, stderr: "" });
  expect(said.stdout).toMatch(/is in dv\/made: .* sent in /);
  await expectFilled("made");
  const again = await upload(images.qcow2, "dv/made", "--insecure");
  expect(again).toMatchObject({ exit: 113 });
  expect(again.stderr).toContain("dv/made is already filled");
});

test("an authority that CDIConfig does not tell is refused, and named with --ca", async () => {
  const ref = { kind: kinds.cdiConfig, name: "config" };
  const told = ((await cluster.client.get(ref)) as CdiConfig).status?.uploadProxyCA;
  expect(told).toBe(await readFile(join(work, "ca.pem"), "utf8"));
  const tell = (uploadProxyCA: string | null | undefined) =>
    cluster.client.patch(ref, { status: { uploadProxyCA } }, { type: "merge" });
  await tell(null);
  try {
    const refused = await upload(images.raw, "dv/told", "--force-bind");
    expect(refused).toMatchObject({ exit: 80 });
    expect(refused.stderr).toMatch(/code: UnknownAuthority\n {2}remedy: .* --ca/);
    expect(await upload(images.raw, "dv/told", "--ca", join(work, "ca.pem"), "--wait")).toMatchObject({ exit: 0 });
  } finally {
    await tell(told);
  }
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

/** Passes connections on to the proxy, and counts what clients send. */
async function countingRelay(onSent: (bytes: number) => void) {
  const { hostname, port } = new URL(await cluster.uploadUrl);
  let sent = 0;
  const sockets = new Set<Socket>();
  const relay = createServer((client) => {
    const onward = connect(Number(port), hostname);
    for (const socket of [client, onward]) {
      sockets.add(socket);
      socket.on("error", () => undefined); // its end ends the other one, too
      socket.once("close", () => {
        sockets.delete(socket);
        client.destroy();
        onward.destroy();
      });
    }
    client.on("data", (chunk: Buffer) => onSent((sent += chunk.length)));
    client.pipe(onward).pipe(client);
  });
  await once(relay.listen(0, "127.0.0.1"), "listening");
  return {
    url: `https://127.0.0.1:${(relay.address() as AddressInfo).port}`,
    sentBytes: () => sent,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => relay.close(closed));
    },
  };
}

test(
  "a run that is killed goes on with the next one, and at most a chunk is sent twice",
  { timeout: 180_000 },
  async () => {
    const path = join(work, "large.img");
    const bytes = randomBytes(96 * MiB);
    await writeFile(path, bytes);
    let first: ReturnType<typeof start> | undefined;
    // In its second chunk: begun anew, it would send more than is allowed below.
    const relay = await countingRelay((sent) => sent > 80 * MiB && first?.child.kill("SIGKILL") && (first = undefined));
    try {
      const flags = ["dv/large", "--insecure", "--uploadproxy-url", relay.url];
      first = start([path, ...flags, "--force-bind", ...base]);
      expect((await first.ended).exit).toBe(null);
      const second = await upload(path, ...flags, "--wait", "--output", "json");
      expect(second).toMatchObject({ exit: 0 });
      const told = JSON.parse(second.stdout) as { bytesSent: number; resumedFrom: number };
      expect(told.bytesSent + told.resumedFrom).toBe(bytes.length);
      expect(told.resumedFrom).toBeGreaterThan(80 * MiB - chunkBytes);
      // TLS and headers take some as well.
      expect(relay.sentBytes()).toBeLessThan(bytes.length + chunkBytes + 4 * MiB);
    } finally {
      await relay.close();
    }
    await expectFilled("large", bytes);
  },
);

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
  const cut = join(work, "cut.img.gz");
  await writeFile(cut, (await readFile(`${images.raw}.gz`)).subarray(0, 200_000));
  const damaged = await upload(cut, "dv/damaged", "--insecure", "--force-bind", "--size", "32Mi");
  expect(damaged).toMatchObject({ exit: 113 });
  expect(damaged.stderr).toContain("400, Saving stream failed: unable to decompress gz: unexpected end of the stream");
  expect((await upload(images.raw, "pod/x", "--insecure")).exit).toBe(2);
  const nowhere = await upload(images.raw, "dv/x", "--namespace", "nowhere");
  expect(nowhere).toMatchObject({ exit: 113 });
  expect(nowhere.stderr).toContain('the cluster answers 404, namespaces "nowhere" not found');
});

test("what a long wait is for is told", async () => {
  const run = start([images.raw, "dv/classless", "--storage-class", "nowhere", ...base]);
  await expect
    .poll(run.stderr, { timeout: 30_000 })
    .toContain("cdi: waiting: dv/classless is not ready: no phase, PVC spec is missing");
  run.child.kill("SIGTERM");
  expect((await run.ended).exit).not.toBe(0);
});

test("a cluster that does not answer", async () => {
  const kubeconfig = join(work, "gone");
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  await writeFile(kubeconfig, cluster.kubeconfig.replace(/https:\/\/127\.0\.0\.1:\d+/, `https://127.0.0.1:${port}`));
  const ended = await start([images.raw, "dv/x", "--kubeconfig", kubeconfig]).ended;
  expect(ended).toMatchObject({ exit: 85 });
  expect(ended.stderr).toContain("code: ConnectionFailed");
});
