// What stands between a laptop and the cluster breaks off now and then: an ingress that cuts what is silent for a while (nginx;
// 3 s here, a true 60 s with CDI_TEST_LONG), a proxy that is killed. `cdi upload` goes on each time, the bytes are the same, and
// little is sent twice.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KubeSecret } from "../../src/api/core.ts";
import { kinds } from "../../src/api/kinds.ts";
import { signers } from "../../src/contract/install-names.ts";
import { signingKeySecret } from "../../src/contract/token.ts";
import { findTool } from "../../src/datapath/index.ts";
import { cdiNamespace, type Embedded } from "../../src/embedded/index.ts";
import { ensureBuilt, makeFolder, MiB } from "../integration/importer/world.ts";
import { checkout } from "../support/cdi-up.ts";
import { diskOf, startCluster } from "../support/cluster.ts";
import { freePort, noNginx } from "../support/nginx.ts";
import { runProxy, untilOpen, type ProxyProgram } from "../support/proxy-program.ts";
import { startRelay, type Relay } from "../support/relay.ts";

const cutOffSeconds = process.env.CDI_TEST_LONG === "1" ? 60 : 3;
/** What `cdi upload` sends in one request. */
const chunkBytes = 64 * MiB;
const bytes = randomBytes(100 * MiB);

const release: (() => Promise<void>)[] = [];
const atEnd = (act: () => Promise<void> | void): void => void release.push(async () => await act());
let cluster: Embedded & { dir: string };
let work: string;
let proxy: Omit<ProxyProgram, "token">;
let ingress: {
  port: number;
  said: () => string;
  receivedBytes: () => Promise<number>;
  tookTooLong: () => Promise<number>;
};

beforeAll(async () => {
  if (noNginx) return;
  ensureBuilt();
  const folder = await makeFolder();
  release.push(folder.remove);
  work = folder.path;
  cluster = await startCluster(atEnd);
  await cluster.uploadUrl;
  const kubeconfig = join(work, "kubeconfig");
  await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  await writeFile(join(work, "large.img"), bytes);
  for (const [name, secret] of Object.entries({ front: signers.uploadProxy.leaf, client: signers.uploadClient.leaf })) {
    await writeFile(join(work, `${name}.crt`), await secretPart(secret, "tls.crt"));
    await writeFile(join(work, `${name}.key`), await secretPart(secret, "tls.key"), { mode: 0o600 });
  }
  const publicKey = await secretPart(signingKeySecret.name, signingKeySecret.publicKey);
  const hostsFile = join(cluster.dir, "hosts");
  const port = await freePort();
  proxy = await runProxy({ dir: work, address: "127.0.0.1", port, kubeconfig, publicKey, hostsFile }, atEnd);
  ingress = await startIngress(port);
}, 120_000);
afterAll(async () => {
  for (const act of release.reverse()) await act();
}, 60_000);

async function secretPart(name: string, key: string): Promise<string> {
  const secret = (await cluster.client.get({ kind: kinds.secret, namespace: cdiNamespace, name })) as KubeSecret;
  return Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
}

/** nginx as ingresses set it up for uploads, and a count of what came in. */
async function startIngress(proxyPort: number): Promise<typeof ingress> {
  const port = await freePort();
  const temp = join(work, "temp");
  await mkdir(temp);
  const log = join(work, "access.log");
  const times = ["client_body_timeout", "send_timeout", "proxy_read_timeout", "proxy_send_timeout"];
  const config = [
    `${process.getuid?.() === 0 ? "user root;" : ""} daemon off; worker_processes 1; pid ${work}/pid; error_log stderr info;`,
    `events { worker_connections 64; } http { log_format sent '$request_length $status'; access_log ${log} sent;`,
    ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${temp};`),
    ...times.map((name) => `${name} ${cutOffSeconds}s;`),
    `client_max_body_size 0; server { listen 127.0.0.1:${port} ssl;`,
    `ssl_certificate ${work}/front.crt; ssl_certificate_key ${work}/front.key; location / {`,
    `proxy_pass https://127.0.0.1:${proxyPort}; proxy_http_version 1.1; proxy_request_buffering off; } } }`,
  ].join("\n");
  await writeFile(join(work, "nginx.conf"), config);
  const child = spawn(findTool("nginx") ?? "nginx", ["-p", work, "-e", "stderr", "-c", join(work, "nginx.conf")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, "exit");
  atEnd(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  await untilOpen("127.0.0.1", port, () => child.exitCode !== null);
  return {
    port,
    said: () => said,
    receivedBytes: async () =>
      (await readFile(log, "utf8")).split("\n").reduce((sum, line) => sum + Number(line.split(" ")[0] || 0), 0),
    tookTooLong: async () => (await readFile(log, "utf8")).split("\n").filter((line) => line.endsWith(" 408")).length,
  };
}

interface Running {
  readonly pid: number;
  readonly relay: Relay;
  readonly ended: Promise<{ exit: number | null; stdout: string; stderr: string }>;
}

/** `cdi upload` over a link of some 20 MB/s. */
async function startUpload(name: string): Promise<Running> {
  const relay = await startRelay({ toPort: ingress.port }, atEnd);
  const url = ["--uploadproxy-url", `https://localhost:${relay.port}`, "--insecure"];
  const words = ["upload", join(work, "large.img"), `dv/${name}`, "--force-bind", "--wait", "--output", "json", ...url];
  const child = spawn(
    process.execPath,
    [join(checkout, "dist/cdi.js"), ...words, "--kubeconfig", join(work, "kubeconfig")],
    { env: { ...process.env, XDG_STATE_HOME: join(work, "state") }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  atEnd(() => void child.kill("SIGKILL"));
  const ended = new Promise<Awaited<Running["ended"]>>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exit) => resolve({ exit, stdout, stderr }));
  });
  return { pid: child.pid ?? 0, relay, ended };
}

const until = (what: () => boolean | Promise<boolean>, seconds = 60): Promise<void> =>
  expect.poll(what, { timeout: seconds * 1000, interval: 20 }).toBe(true);

/** Lets the act happen once some 30 MiB are on the volume, and sees the upload through. */
async function uploadWith(name: string, act: (upload: Running) => Promise<void>): Promise<void> {
  const before = await ingress.receivedBytes();
  const upload = await startUpload(name);
  await until(() => upload.relay.sentBytes > 30 * MiB, 120);
  await act(upload);
  expect(await upload.ended).toMatchObject({ exit: 0, stderr: "" });
  const disk = await diskOf(cluster, name);
  expect(disk?.subarray(0, bytes.length).equals(bytes)).toBe(true);
  const sentTwice = (await ingress.receivedBytes()) - before - bytes.length;
  expect(sentTwice).toBeLessThan(chunkBytes);
}

const cuts = (words: string): number => ingress.said().split(words).length - 1;

test.skipIf(noNginx)(
  "a client that falls silent is cut off in front, and goes on when it wakes",
  () =>
    uploadWith("asleep", async ({ pid }) => {
      const before = await ingress.tookTooLong();
      process.kill(pid, "SIGSTOP");
      await until(async () => (await ingress.tookTooLong()) > before, cutOffSeconds + 60);
      process.kill(pid, "SIGCONT");
    }),
  300_000,
);

test.skipIf(noNginx)(
  "a proxy that stands still is cut off in front, and taken again when it moves",
  () =>
    uploadWith("stalled", async () => {
      const before = cuts("upstream timed out");
      process.kill(proxy.pid, "SIGSTOP");
      await until(() => cuts("upstream timed out") > before, cutOffSeconds + 60);
      process.kill(proxy.pid, "SIGCONT");
    }),
  300_000,
);

test.skipIf(noNginx)(
  "a proxy that is killed and started again costs nothing but the bytes on their way",
  () =>
    uploadWith("killed", async () => {
      await proxy.kill("SIGKILL");
      await proxy.start();
    }),
  300_000,
);
