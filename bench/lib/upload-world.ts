// What benches of uploads stand on: the proxy over a store of its own, nginx beside it with the same certificates, and behind
// both, on one address, a bare sink or the real upload server.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { uploadClientName } from "../../src/contract/upload-routes.ts";
import type { KeyedCertificate } from "../../src/pki/index.ts";
import { makePod } from "../../test/integration/importer/world.ts";
import { startServer } from "../../test/integration/uploadserver/world.ts";
import { freePort } from "../../test/support/nginx.ts";
import type { AtEnd } from "../../test/support/loop.ts";
import {
  anonymousMib,
  diskService,
  processSeconds,
  startProxyProgram,
  untilOpen,
} from "../../test/support/proxy-program.ts";
import { authorityNow, certificateNow } from "../../test/support/upload-stand-in.ts";

/** Of whatever stands behind; the port is an upload server's. */
const behindAddress = "127.99.7.1";
/** Of the proxies' certificate. */
const publicName = "uploads.test";

export interface Behind {
  readonly pid: number;
  /** Waits until it has ended of itself, where it does. */
  close(): Promise<void>;
}

export interface UploadWorld {
  readonly proxy: { readonly port: number; readonly pid: number };
  readonly nginx: { readonly port: number; readonly pid: number };
  /** Drops what it gets, or writes it to the file. On the address behind, or on another one and port. */
  sink(file?: string, at?: { address: string; port: number }): Promise<Behind>;
  /** A server for one upload into a file system volume. @param gib of the claim */
  server(gib: number): Promise<Behind>;
  /** One POST with curl. @param words in front of curl's @returns seconds */
  post(file: string, port: number, how?: { address?: string; words?: readonly string[] }): Promise<number>;
}

export async function uploadWorld(dir: string, address: string, atEnd: AtEnd): Promise<UploadWorld> {
  const at = (name: string): string => join(dir, name);
  const start = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess => {
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
    atEnd(() => stopped(child));
    return child;
  };
  const putPair = async (name: string, { certificate, key }: KeyedCertificate): Promise<void> => {
    await writeFile(at(`${name}.crt`), certificate);
    await writeFile(at(`${name}.key`), key, { mode: 0o600 });
  };
  const [publicCa, servers, clients] = (await Promise.all(["a", "b", "c"].map(authorityNow))) as [
    KeyedCertificate,
    KeyedCertificate,
    KeyedCertificate,
  ];
  const front = await certificateNow(publicCa, publicName, "server", { dnsNames: [publicName] });
  const server = await certificateNow(servers, diskService, "server", { dnsNames: [diskService] });
  const proxyClient = await certificateNow(clients, uploadClientName, "client");
  await putPair("sink", server);
  await writeFile(at("public.pem"), `${publicCa.certificate}\n${servers.certificate}`);
  await writeFile(at("servers.pem"), servers.certificate);
  await writeFile(at("clients.pem"), clients.certificate);
  const nginxPort = await freePort();

  const identity = proxyClient;
  const proxy = await startProxyProgram(
    { dir, address, serving: front, identity, serverCa: servers.certificate, serverAddress: behindAddress },
    atEnd,
  );
  await writeFile(at("nginx.conf"), nginxLines(at, `${address}:${nginxPort}`));
  await mkdir(at("nginx-temp"));
  const nginx = start("nginx", ["-p", dir, "-e", "stderr", "-c", at("nginx.conf")]);
  await untilOpen(address, nginxPort, () => nginx.exitCode !== null);

  return {
    proxy,
    nginx: { port: nginxPort, pid: nginx.pid ?? 0 },
    async sink(file = "", where = { address: behindAddress, port: 8443 }) {
      const program = join(import.meta.dirname, "tls-sink.ts");
      const pems = [at("sink.crt"), at("sink.key"), at("clients.pem")];
      const child = start(process.execPath, [program, where.address, String(where.port), ...pems, file]);
      await once(child.stdout ?? child, "data");
      return { pid: child.pid ?? 0, close: () => stopped(child) };
    },
    async server(gib) {
      const pod = await makePod({ scratch: true });
      const config = { imageSize: `${gib}Gi`, listenAddress: behindAddress };
      const one = await startServer({ servers, clients, server, proxy: proxyClient }, { pod, config });
      return {
        pid: one.pid,
        async close() {
          const { exit, log } = await one.ended;
          await pod.remove();
          if (exit !== 0) throw new Error(`the upload server ended with status ${exit}: ${log}`);
        },
      };
    },
    async post(file, port, { address: to = address, words = [] } = {}) {
      const token = await proxy.token();
      // The sink may be asked by its own name and with a certificate; a proxy does not look at it.
      const name = [nginxPort, proxy.port].includes(port) ? publicName : diskService;
      const tls = ["--cacert", at("public.pem"), "--cert", at("client.crt"), "--key", at("client.key")];
      const auth = ["-H", `Authorization: Bearer ${token}`, "-H", "Expect:"];
      const [program, ...args] = [...words, "curl", "-sS", "-f", "--http1.1", "-X", "POST", "-T", file];
      const to443 = ["--resolve", `${name}:${port}:${to}`, `https://${name}:${port}/v1beta1/upload`];
      const begun = performance.now();
      await promisify(execFile)(program, [...args, ...tls, ...auth, ...to443]);
      return (performance.now() - begun) / 1000;
    },
  };
}

function nginxLines(at: (name: string) => string, listen: string): string {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (one) => `${one}_temp_path ${at("nginx-temp")};`,
  );
  const out = [
    `proxy_pass https://${behindAddress}:8443; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;`,
    `proxy_ssl_certificate ${at("client.crt")}; proxy_ssl_certificate_key ${at("client.key")}; proxy_ssl_verify on;`,
    `proxy_ssl_trusted_certificate ${at("servers.pem")}; proxy_ssl_name ${diskService}; proxy_ssl_protocols TLSv1.2 TLSv1.3;`,
  ].join(" ");
  return [
    ...(process.getuid?.() === 0 ? ["user root;"] : []),
    `daemon off; worker_processes 1; pid ${at("nginx.pid")}; events { worker_connections 64; }`,
    `http { access_log off; ${temp.join(" ")} client_max_body_size 0; client_body_buffer_size 256k; server { listen ${listen} ssl;`,
    `ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${at("front.crt")}; ssl_certificate_key ${at("front.key")};`,
    `location / { ${out} } } }`,
  ].join("\n");
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** User and system seconds of a process and its children so far. */
async function cpuSeconds(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const all = await Promise.all([pid, ...children.split(" ").filter(Boolean).map(Number)].map(processSeconds));
  return all.reduce((sum, one) => sum + one, 0);
}

export interface Watched {
  /** The most anonymous memory there was, MiB. */
  mostMib: number;
  /** User and system seconds, as last seen: a process that has ended tells nothing. */
  cpuSeconds: number;
}

/** What each process took while the work ran. */
export async function watched<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ seen: readonly Watched[]; done: T }> {
  const before = await Promise.all(pids.map(cpuSeconds));
  const seen = pids.map(() => ({ mostMib: 0, cpuSeconds: 0 }));
  const look = async (pid: number, index: number): Promise<void> => {
    const one = seen[index] ?? { mostMib: 0, cpuSeconds: 0 };
    one.mostMib = Math.max(one.mostMib, Math.round(await anonymousMib(pid)));
    one.cpuSeconds = Math.max(one.cpuSeconds, (await cpuSeconds(pid)) - (before[index] ?? 0));
  };
  const watching = setInterval(() => pids.forEach((pid, index) => void look(pid, index)), 50);
  try {
    const done = await work();
    await Promise.all(pids.map(look));
    return { seen, done };
  } finally {
    clearInterval(watching);
  }
}
