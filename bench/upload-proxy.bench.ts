// Bench: the upload proxy beside nginx, each TLS in and client certificate out, in front of the same nginx that takes bytes and
// throws them away; in turns. Rates are of the machine as it is now: the CPU seconds a GiB say more.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { cdiConfigKind } from "../src/api/cdi-config.ts";
import { crdOf } from "../src/api/crd.ts";
import { kinds } from "../src/api/kinds.ts";
import { bundleKey, signers } from "../src/contract/install-names.ts";
import { apiServerIssuer, shortTokenMs, uploadClaims } from "../src/contract/token.ts";
import { uploadClientName } from "../src/contract/upload-routes.ts";
import { makeSigningKey, signToken, type KeyedCertificate } from "../src/pki/index.ts";
import { checkout } from "../test/support/cdi-up.ts";
import { startTestServer } from "../test/support/embedded-server.ts";
import { readyTarget } from "../test/support/upload-proxy.ts";
import { authorityNow, certificateNow } from "../test/support/upload-stand-in.ts";
import { median, report } from "./lib/figures.ts";

const option = (name: string, otherwise: number): number =>
  Number(process.argv.find((word) => word.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise);
const [turns, gib] = [option("turns", 5), option("gib", 1)];
const host = "cdi-upload-disk.default.svc";
const sinkAddress = "127.99.7.1";
const ports = { nginx: 39443, proxy: 39444 };

const dir = await mkdtemp(join(tmpdir(), "cdi-bench-"));
const file = (name: string): string => join(dir, name);
const children: ChildProcess[] = [];
const server = await startTestServer();

async function putPair(name: string, { certificate, key }: KeyedCertificate): Promise<void> {
  await writeFile(file(`${name}.crt`), certificate);
  await writeFile(file(`${name}.key`), key, { mode: 0o600 });
}

const commonLines = [`daemon off; worker_processes 1; events { worker_connections 64; }`];
async function startNginx(name: string, location: string, listen: string, more = ""): Promise<ChildProcess> {
  await mkdir(file(`${name}-temp`), { recursive: true });
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (one) => `${one}_temp_path ${file(`${name}-temp`)};`,
  );
  const text = [
    ...(process.getuid?.() === 0 ? ["user root;"] : []),
    ...commonLines,
    `pid ${file(`${name}.pid`)};`,
    `http { access_log off; ${temp.join(" ")} client_max_body_size 0; keepalive_requests 1000000;`,
    `server { listen ${listen} ssl; ssl_protocols TLSv1.2 TLSv1.3; ${more} location / { ${location} } } }`,
  ].join("\n");
  await writeFile(file(`${name}.conf`), text);
  const child = spawn("nginx", ["-p", dir, "-e", "stderr", "-c", file(`${name}.conf`)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  children.push(child);
  return child;
}
const pairLines = (name: string): string =>
  `ssl_certificate ${file(`${name}.crt`)}; ssl_certificate_key ${file(`${name}.key`)};`;

/** Of a process and its children. */
async function cpuSeconds(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("pgrep", ["-P", String(pid)]).catch(() => ({ stdout: "" }));
  let ticks = 0;
  for (const one of [pid, ...stdout.split("\n").filter(Boolean).map(Number)]) {
    const words = (await readFile(`/proc/${one}/stat`, "utf8").catch(() => "")).split(") ")[1]?.split(" ") ?? [];
    ticks += Number(words[11] ?? 0) + Number(words[12] ?? 0);
  }
  return ticks / 100;
}
const anonymousMib = async (pid: number): Promise<number> =>
  Number(/RssAnon:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

try {
  const [publicCa, serverCa, clientCa] = (await Promise.all(["a", "b", "c"].map(authorityNow))) as [
    KeyedCertificate,
    KeyedCertificate,
    KeyedCertificate,
  ];
  await putPair("front", await certificateNow(publicCa, "localhost", "server", { dnsNames: ["localhost"] }));
  await putPair("sink", await certificateNow(serverCa, host, "server", { dnsNames: [host] }));
  await putPair("client", await certificateNow(clientCa, uploadClientName, "client"));
  await writeFile(file("public.pem"), publicCa.certificate);
  await writeFile(file("servers.pem"), serverCa.certificate);
  await writeFile(file("clients.pem"), clientCa.certificate);
  await writeFile(file("hosts"), `${sinkAddress} ${host}\n`);
  await writeFile(file("body"), "");
  await truncate(file("body"), gib * 2 ** 30);

  const verify = `ssl_client_certificate ${file("clients.pem")}; ssl_verify_client on;`;
  await startNginx("sink", "return 200;", `${sinkAddress}:8443`, `${pairLines("sink")} ${verify}`);
  const out = [
    `proxy_pass https://${sinkAddress}:8443; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;`,
    `proxy_ssl_certificate ${file("client.crt")}; proxy_ssl_certificate_key ${file("client.key")};`,
    `proxy_ssl_trusted_certificate ${file("servers.pem")}; proxy_ssl_verify on; proxy_ssl_name ${host}; proxy_ssl_protocols TLSv1.2 TLSv1.3;`,
  ].join(" ");
  const nginx = await startNginx("front", out, `127.0.0.1:${ports.nginx}`, pairLines("front"));

  const { client } = server;
  await client.create(crdOf(cdiConfigKind), kinds.crd);
  const metadata = { namespace: "cdi", name: signers.uploadServer.bundle };
  const data = { [bundleKey]: serverCa.certificate };
  await client.create({ apiVersion: "v1", kind: "ConfigMap", metadata, data }, kinds.configMap);
  const claim = { namespace: "default", name: "disk", annotations: readyTarget };
  const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
  await client.create({ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: claim, spec }, kinds.claim);
  const key = await makeSigningKey();
  const proxy = spawn(process.execPath, [join(checkout, "dist", "uploadproxy.js"), "-v=0"], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      KUBECONFIG: server.kubeconfigFile,
      APISERVER_PUBLIC_KEY: key.publicKey,
      SERVER_CERT_FILE: file("front.crt"),
      SERVER_KEY_FILE: file("front.key"),
      UPLOAD_CLIENT_CERT_FILE: file("client.crt"),
      UPLOAD_CLIENT_KEY_FILE: file("client.key"),
      LISTEN_ADDRESS: "127.0.0.1",
      LISTEN_PORT: String(ports.proxy),
      CDI_HOSTS: file("hosts"),
    },
  });
  children.push(proxy);

  const send = async (port: number): Promise<number> => {
    const token = await signToken(uploadClaims("default", "disk"), {
      privateKey: key.privateKey,
      issuer: apiServerIssuer,
      nowMs: Date.now(),
      lifetimeMs: shortTokenMs,
    });
    const begun = performance.now();
    const words = ["-sS", "-f", "--http1.1", "--cacert", file("public.pem"), "-X", "POST", "-T", file("body")];
    const auth = ["-H", `Authorization: Bearer ${token}`, "-H", "Expect:"];
    await promisify(execFile)("curl", [...words, ...auth, `https://localhost:${port}/v1beta1/upload`]);
    return (performance.now() - begun) / 1000;
  };
  for (const port of Object.values(ports)) {
    for (let tries = 0; ; tries += 1) {
      const up = await promisify(execFile)("curl", ["-sk", `https://localhost:${port}/healthz`]).then(
        () => true,
        () => false,
      );
      if (up) break;
      if (tries > 200) throw new Error(`nothing listens on ${port}`);
      await pause(50);
    }
  }
  const seen = {
    nginx: { rate: [] as number[], cpu: [] as number[] },
    proxy: { rate: [] as number[], cpu: [] as number[] },
  };
  const ways = { nginx: { port: ports.nginx, pid: nginx.pid ?? 0 }, proxy: { port: ports.proxy, pid: proxy.pid ?? 0 } };
  let mostMib = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    for (const way of ["nginx", "proxy"] as const) {
      const { port, pid } = ways[way];
      const before = await cpuSeconds(pid);
      const watching = setInterval(() => {
        if (way === "proxy") void anonymousMib(pid).then((now) => (mostMib = Math.max(mostMib, now)));
      }, 50);
      const seconds = await send(port);
      clearInterval(watching);
      seen[way].rate.push((gib * 1024) / seconds);
      seen[way].cpu.push(((await cpuSeconds(pid)) - before) / gib);
    }
  }
  const rows = (["nginx", "proxy"] as const).map((way) => ({
    way,
    mibPerSecond: Math.round(median(seen[way].rate)),
    ofNginx: Number((median(seen[way].rate) / median(seen.nginx.rate)).toFixed(2)),
    cpuSecondsPerGib: Number(median(seen[way].cpu).toFixed(2)),
    ...(way === "proxy" ? { mostAnonymousMib: Math.round(mostMib) } : {}),
  }));
  report(join(checkout, ".cache", "bench"), "upload-proxy", { turns, gib }, rows);
} finally {
  for (const child of children) {
    if (child.exitCode !== null) continue;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }
  await server.close();
  await rm(dir, { recursive: true, force: true });
}
