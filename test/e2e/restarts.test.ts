// Kills the controller, the server with its node, the importer, or all of them, at four stages of an import, twice each: the
// import ends well all the same, with the bytes it should have. A sample of the rows; all with CDI_TEST_LONG=1.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { kinds } from "../../src/api/kinds.ts";
import type { DataVolume } from "../../src/api/data-volume.ts";
import type { Pod } from "../../src/api/core.ts";
import type { KindRef, KubeObject } from "../../src/api/meta.ts";
import { importerImage } from "../../src/embedded/index.ts";
import { clientNodeClient, type KubeClient } from "../../src/kube/index.ts";
import { checkout, removeDir, temporaryDir } from "../support/cdi-up.ts";
import { sentBytes, startHttpServer, type HttpTestServer } from "../support/http-server.ts";
import { randomFrom } from "../support/random-qcow2.ts";
import { runText } from "../support/run-text.ts";
import { makeSparseImage } from "../support/sparse-image.ts";

const mib = 1024 * 1024;
const image = makeSparseImage(24 * mib, 60, 5);
const name = "survivor";
const victims = ["controller", "server", "importer", "all"] as const;
const stages = ["created", "scheduled", "half done", "ended"] as const;
const modes = ["Filesystem", "Block"] as const;
type Victim = (typeof victims)[number];
type Stage = (typeof stages)[number];

const rows = victims.flatMap((victim) =>
  stages.flatMap((stage) => modes.map((volumeMode) => ({ victim, stage, volumeMode }))),
);
const seed = Number(process.env.CDI_TEST_SEED ?? 11);
const sample = process.env.CDI_TEST_LONG ? rows : sampleOf(6);

function sampleOf(count: number): typeof rows {
  const next = randomFrom(seed);
  const left = [...rows];
  return Array.from({ length: count }, () => left.splice(next(left.length), 1)[0] as (typeof rows)[number]);
}

/** The processes of one cluster, each of which can be killed and started again. */
async function startParts() {
  const dir = await temporaryDir();
  const running = new Map<"controller" | "server", ChildProcess>();
  let port = "0";
  const start = async (what: "controller" | "server"): Promise<void> => {
    const args =
      what === "server"
        ? [join(checkout, "test/support/server-process.ts"), dir, port]
        : [join(checkout, "dist/controller.js")];
    const env = {
      ...process.env,
      KUBECONFIG: join(dir, "kubeconfig"),
      IMPORTER_IMAGE: importerImage,
      POD_NAMESPACE: "cdi",
    };
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    running.set(what, child);
    let words = "";
    child.stderr?.on("data", (chunk: Buffer) => (words += chunk.toString()));
    if (what === "controller") return void child.stdout?.resume();
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`the server ended: ${words}`)));
    ended.catch(() => undefined); // it is killed later
    const [line] = (await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), ended])) as [Buffer];
    port = new URL(line.toString().trim()).port;
  };
  const kill = async (what: "controller" | "server"): Promise<void> => {
    const child = running.get(what);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  onTestFinished(async () => {
    await kill("controller");
    await kill("server");
    await expect.poll(() => importersOf(dir), { timeout: 10_000 }).toEqual([]);
    await removeDir(dir);
  });
  await start("server");
  await start("controller");
  const client = clientNodeClient({ kubeconfig: join(dir, "kubeconfig") });
  onTestFinished(() => client.close());
  return {
    dir,
    client,
    async hit(victim: Victim): Promise<void> {
      if (victim === "importer" || victim === "all") for (const pid of await importersOf(dir)) killIfThere(pid);
      for (const what of ["controller", "server"] as const) if (victim === what || victim === "all") await kill(what);
      for (const what of ["server", "controller"] as const) if (victim === what || victim === "all") await start(what);
    },
  };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
  }
}

/** Processes that run the importer for this cluster: their mounts or their arguments name its folder. */
async function importersOf(dir: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => ""); // it has ended
    if (!(await read("cmdline")).includes("dist/importer.js")) continue;
    if ((await read("mountinfo")).includes(dir) || (await read("environ")).includes(dir)) found.push(Number(pid));
  }
  return found;
}

/** Asks again and again, also while nobody answers. */
async function until(client: KubeClient, what: string, isSo: (get: Get) => Promise<boolean>): Promise<void> {
  const get: Get = (kind, objectName) => client.get({ kind, namespace: "default", name: objectName });
  await expect.poll(() => isSo(get).catch(() => false), { timeout: 60_000, interval: 20, message: what }).toBe(true);
}
type Get = (kind: KindRef, name: string) => Promise<KubeObject | undefined>;

function reached(stage: Stage, server: HttpTestServer, second: boolean): (get: Get) => Promise<boolean> {
  return async (get) => {
    if (stage === "created") return (await get(kinds.claim, name)) !== undefined;
    if (stage === "scheduled") return (await get(kinds.pod, `importer-${name}`)) !== undefined;
    if (stage === "half done") {
      const sent = sentBytes(server);
      return sent > (second ? 14 : 8) * mib;
    }
    const pod = (await get(kinds.pod, `importer-${name}`)) as Pod | undefined;
    const dv = (await get(kinds.dataVolume, name)) as DataVolume | undefined;
    return pod?.status?.phase === "Succeeded" || dv?.status?.phase === "Succeeded";
  };
}

test.each(sample)(
  `killed twice: $victim, $stage, $volumeMode (seed ${seed})`,
  async ({ victim, stage, volumeMode }) => {
    const server = await startHttpServer({
      files: { "/disk.img": image },
      faults: { bytesPerSecond: stage === "half done" ? 6 * mib : 60 * mib },
    });
    const parts = await startParts();
    const { client } = parts;
    const pvc = { accessModes: ["ReadWriteOnce"], volumeMode, resources: { requests: { storage: "64Mi" } } };
    const made = await client.create(
      {
        apiVersion: kinds.dataVolume.apiVersion,
        kind: "DataVolume",
        metadata: { name, namespace: "default" },
        spec: { source: { http: { url: server.url("/disk.img") } }, pvc },
      },
      kinds.dataVolume,
    );
    await until(client, stage, reached(stage, server, false));
    await parts.hit(victim);
    await until(client, `${stage}, again`, reached(stage, server, true));
    await parts.hit(victim);
    await until(client, "Succeeded", async (get) => {
      const dv = (await get(kinds.dataVolume, name)) as DataVolume | undefined;
      expect(dv?.metadata.uid).toBe(made.metadata.uid);
      return dv?.status?.phase === "Succeeded";
    });
    await until(client, "the pod is gone", async (get) => (await get(kinds.pod, `importer-${name}`)) === undefined);
    const disk = await diskOf(client, parts.dir, volumeMode);
    expect(disk.subarray(0, image.length).equals(image)).toBe(true);
    expect(disk.subarray(image.length).every((byte) => byte === 0)).toBe(true);
  },
  180_000,
);

async function diskOf(client: KubeClient, dir: string, volumeMode: string): Promise<Buffer> {
  const [volume] = (await client.list(kinds.volume)).items as (KubeObject & { spec: { local: { path: string } } })[];
  const path = volume?.spec.local.path ?? "";
  // An ordinary user's volume is a folder.
  if ((await stat(path)).isDirectory()) return await readFile(join(path, "disk.img"));
  if (volumeMode === "Block") return await readFile(path);
  const out = join(dir, "dumped.img");
  await runText("debugfs", ["-R", `dump /disk.img ${out}`, path]);
  return await readFile(out);
}
