// What `cdi up` does: a cluster in one process, and a sample that imports a real disk into it.
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { embeddedLog, startEmbedded, type Embedded } from "../embedded/index.ts";
import { systemClock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { ensureSample, follow, sampleDataVolume } from "./sample/data-volume.ts";
import { serveFile, type FileServer } from "./sample/file-server.ts";
import { ensureSampleImage } from "./sample/image.ts";
import { liveLine } from "./sample/live-line.ts";

export interface UpOptions {
  /** A URL to import instead of the generated sample. */
  source?: string;
  /** Folder of everything that outlives the process. */
  data: string;
  /** @default the port of the last run in this folder, else any free one */
  port?: number;
  /** @default <data>/kubeconfig */
  kubeconfig?: string;
  sample: boolean;
  /** Leave once the sample has ended. */
  exit: boolean;
  /** Hold the sample's server to 60 MB/s, so that progress can be watched. */
  slow: boolean;
  /** How much is logged on stderr: 0 warnings, 1 what is done, 2 and more details. */
  verbosity: number;
  /** The checkout or installed package. */
  appDir: string;
}

const slowBytesPerSecond = 60_000_000;
const maxRunning = 2;
const sampleNames = { Filesystem: "sample-filesystem", Block: "sample-block" } as const;

/** @returns the exit status: 0, or 1 when the sample failed. Runs until the signal aborts unless `exit` is set. */
export async function runUp(options: UpOptions, out: NodeJS.WritableStream, signal: AbortSignal): Promise<number> {
  const log = embeddedLog(options.verbosity);
  const dir = resolve(options.data);
  const saved = await readSaved(dir);
  const embedded = await startEmbedded({
    dir,
    appDir: options.appDir,
    port: options.port ?? saved.port ?? 0,
    maxRunning,
    clock: systemClock,
    log,
  });
  const closing: { close(): Promise<void> }[] = [embedded];
  try {
    const kubeconfig = resolve(options.kubeconfig ?? join(dir, "kubeconfig"));
    await writePrivate(kubeconfig, embedded.kubeconfig);
    await writePrivate(join(dir, "up.json"), JSON.stringify({ ...saved, port: Number(new URL(embedded.url).port) }));
    out.write(`cdi is up: ${embedded.url}\n\n  export KUBECONFIG=${kubeconfig}\n  kubectl get datavolumes\n\n`);
    if (!options.sample) {
      await untilAborted(signal);
      return 0;
    }
    const status = await runSample(options, dir, embedded, closing, out, log, signal);
    if (options.exit) return status;
    out.write("Ctrl-C ends it.\n");
    await untilAborted(signal);
    return 0;
  } catch (cause) {
    if (signal.aborted) return 0;
    throw cause;
  } finally {
    for (const one of closing.reverse()) await one.close();
  }
}

async function runSample(
  options: UpOptions,
  dir: string,
  embedded: Embedded,
  closing: { close(): Promise<void> }[],
  out: NodeJS.WritableStream,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const { url, requestBytes } = options.source
    ? await askSource(options.source, signal)
    : await serveSample(options, dir, closing, out, log, signal);
  const names = Object.values(sampleNames);
  for (const volumeMode of ["Filesystem", "Block"] as const) {
    await ensureSample(
      embedded.client,
      sampleDataVolume(sampleNames[volumeMode], url, requestBytes, volumeMode),
      signal,
    );
  }
  const line = liveLine(out);
  const phases = new Map<string, string>();
  for await (const dataVolume of follow(embedded.client, names, signal)) {
    line.show(dataVolume);
    phases.set(dataVolume.metadata.name ?? "", dataVolume.status?.phase ?? "");
  }
  line.end();
  const failed = names.filter((name) => phases.get(name) !== "Succeeded");
  out.write(
    failed.length === 0
      ? `Both disks are there: ${names.join(", ")}.\n`
      : `Failed: ${failed.join(", ")}. See: kubectl describe dv\n`,
  );
  return failed.length === 0 ? 0 : 1;
}

async function serveSample(
  options: UpOptions,
  dir: string,
  closing: { close(): Promise<void> }[],
  out: NodeJS.WritableStream,
  log: Log,
  signal: AbortSignal,
): Promise<{ url: string; requestBytes: number }> {
  out.write("Making the sample image (once).\n");
  const image = await ensureSampleImage(join(dir, "sample"), log, signal);
  out.write(
    `The sample boots from ${image.origin}, 1 GiB virtual with 200 MiB of generated data, as compressed qcow2.\n`,
  );
  const saved = await readSaved(dir);
  const server: FileServer = await serveFile({
    path: image.path,
    ...(saved.samplePort === undefined ? {} : { preferredPort: saved.samplePort }),
    ...(options.slow ? { bytesPerSecond: slowBytesPerSecond } : {}),
    clock: systemClock,
    log,
  });
  closing.push(server);
  await writePrivate(join(dir, "up.json"), JSON.stringify({ ...saved, samplePort: server.port }));
  return { url: server.url, requestBytes: image.virtualSizeBytes };
}

/** What the last run in this folder used: kept so that kubeconfigs and DataVolumes of that run stay valid. */
interface Saved {
  port?: number;
  samplePort?: number;
}
async function readSaved(dir: string): Promise<Saved> {
  const text = await readFile(join(dir, "up.json"), "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return "{}";
    throw cause;
  });
  return JSON.parse(text) as Saved;
}

async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener("abort", () => done(), { once: true });
  });
