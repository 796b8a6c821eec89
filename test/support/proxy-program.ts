// The upload proxy as the built program, in a process of its own over a store of its own: for what only a process can show
// (processor time, descriptors, memory, a kill), and to be started again on its port.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { cdiConfigKind } from "../../src/api/cdi-config.ts";
import { crdOf } from "../../src/api/crd.ts";
import { kinds } from "../../src/api/kinds.ts";
import { bundleKey, signers } from "../../src/contract/install-names.ts";
import { apiServerIssuer, shortTokenMs, uploadClaims } from "../../src/contract/token.ts";
import { makeSigningKey, signToken, type KeyedCertificate } from "../../src/pki/index.ts";
import { checkout } from "./cdi-up.ts";
import { startTestServer } from "./embedded-server.ts";
import type { AtEnd } from "./loop.ts";
import { freePort } from "./nginx.ts";
import { readyTarget } from "./upload-proxy.ts";

export interface ProxyPlan {
  /** Where certificates and keys are written: front, client (.crt, .key), hosts. */
  readonly dir: string;
  readonly address?: string;
  readonly serving: KeyedCertificate;
  readonly identity: KeyedCertificate;
  /** PEM: who signs upload servers. */
  readonly serverCa: string;
  /** Where the claim `disk`'s server is. */
  readonly serverAddress: string;
}

export interface ProxyProgram {
  readonly port: number;
  readonly pid: number;
  /** For the claim `disk`, for five minutes. */
  token(): Promise<string>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Again on the same port, after a kill. Resolves when it serves. */
  start(): Promise<void>;
}

/** The Service name of the claim `disk`'s upload server. */
export const diskService = "cdi-upload-disk.default.svc";

export async function startProxyProgram(plan: ProxyPlan, atEnd: AtEnd): Promise<ProxyProgram> {
  const { dir, address = "127.0.0.1" } = plan;
  const at = (name: string): string => join(dir, name);
  for (const [name, pair] of Object.entries({ front: plan.serving, client: plan.identity })) {
    await writeFile(at(`${name}.crt`), pair.certificate);
    await writeFile(at(`${name}.key`), pair.key, { mode: 0o600 });
  }
  await writeFile(at("hosts"), `${plan.serverAddress} ${diskService}\n`);
  const [key, port, store] = await Promise.all([makeSigningKey(), freePort(), startTestServer()]);
  atEnd(() => store.close());
  const { client } = store;
  await client.create(crdOf(cdiConfigKind), kinds.crd);
  const metadata = { namespace: "cdi", name: signers.uploadServer.bundle };
  const data = { [bundleKey]: plan.serverCa };
  await client.create({ apiVersion: "v1", kind: "ConfigMap", metadata, data }, kinds.configMap);
  const claim = { namespace: "default", name: "disk", annotations: readyTarget };
  const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
  await client.create({ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: claim, spec }, kinds.claim);

  const program = await runProxy(
    { dir, address, port, kubeconfig: store.kubeconfigFile, publicKey: key.publicKey, hostsFile: at("hosts") },
    atEnd,
  );
  const token = (): Promise<string> =>
    signToken(uploadClaims("default", "disk"), {
      privateKey: key.privateKey,
      issuer: apiServerIssuer,
      nowMs: Date.now(),
      lifetimeMs: shortTokenMs,
    });
  return Object.defineProperties({ token }, Object.getOwnPropertyDescriptors(program)) as ProxyProgram;
}

export interface ProxyRun {
  /** With front.crt, front.key, client.crt and client.key in it. */
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  readonly kubeconfig: string;
  /** PEM: the key tokens are checked with. */
  readonly publicKey: string;
  readonly hostsFile: string;
}

/** Resolves when it serves. */
export async function runProxy(run: ProxyRun, atEnd: AtEnd): Promise<Omit<ProxyProgram, "token">> {
  const { dir, address, port } = run;
  const at = (name: string): string => join(dir, name);
  let child: ChildProcess;
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (isOver()) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
  async function start(): Promise<void> {
    child = spawn(process.execPath, [join(checkout, "dist", "uploadproxy.js"), "-v=0"], {
      stdio: ["ignore", "ignore", "ignore"],
      env: {
        ...process.env,
        KUBECONFIG: run.kubeconfig,
        APISERVER_PUBLIC_KEY: run.publicKey,
        SERVER_CERT_FILE: at("front.crt"),
        SERVER_KEY_FILE: at("front.key"),
        UPLOAD_CLIENT_CERT_FILE: at("client.crt"),
        UPLOAD_CLIENT_KEY_FILE: at("client.key"),
        LISTEN_ADDRESS: address,
        LISTEN_PORT: String(port),
        CDI_HOSTS: run.hostsFile,
      },
    });
    await untilOpen(address, port, isOver);
  }
  await start();
  atEnd(() => kill("SIGKILL"));
  return {
    port,
    get pid() {
      return child.pid ?? 0;
    },
    kill,
    start,
  };
}

/** Asks for the health of whatever serves there until it answers. @throws Error when it ended before */
export async function untilOpen(address: string, port: number, isOver: () => boolean): Promise<void> {
  for (;;) {
    const words = ["-sk", "-o", "/dev/null", "--max-time", "5", `https://${address}:${port}/healthz`];
    const up = await promisify(execFile)("curl", words).then(
      () => true,
      () => false,
    );
    if (up) return;
    if (isOver()) throw new Error(`what should listen on ${address}:${port} has ended`);
    await pause(50);
  }
}

/** User and system seconds of a process so far; 0 when there is none. */
export async function processSeconds(pid: number): Promise<number> {
  const words = (await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")).split(") ")[1]?.split(" ") ?? [];
  return (Number(words[11] ?? 0) + Number(words[12] ?? 0)) / 100;
}

/** Anonymous memory in MiB; 0 when there is no such process. */
export async function anonymousMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

export const descriptorsOf = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;
