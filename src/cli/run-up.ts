// What `cdi up` does: a cluster in one process, and a sample that imports a real disk into it.
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { embeddedLog, startEmbedded } from "../embedded/index.ts";
import { systemClock } from "../lib/clock.ts";
import { startSample } from "./sample/run-sample.ts";

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
  /** How much is logged on stderr: 0 what went wrong, 1 what is done, 3 and more details. */
  verbosity: number;
  /** The checkout or installed package. */
  appDir: string;
  /** Proxy variables for a source that is a URL. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Importers that run at once: one a core on the smallest laptop. */
const maxRunning = 2;

/** @returns the exit status: 0, or 1 when the sample failed. Runs until the signal aborts unless `exit` is set. */
export async function runUp(options: UpOptions, out: NodeJS.WritableStream, signal: AbortSignal): Promise<number> {
  const log = embeddedLog(options.verbosity);
  const dir = resolve(options.data);
  const saved = await readSaved(dir);
  const port = options.port ?? saved.port ?? 0;
  const embedded = await startEmbedded({ dir, appDir: options.appDir, port, maxRunning, clock: systemClock, log });
  const closing: { close(): Promise<void> }[] = [embedded];
  try {
    const kubeconfig = resolve(options.kubeconfig ?? join(dir, "kubeconfig"));
    await writePrivate(kubeconfig, embedded.kubeconfig);
    saved.port = Number(new URL(embedded.url).port);
    await save(dir, saved);
    out.write(`cdi is up: ${embedded.url}\n\n  export KUBECONFIG=${kubeconfig}\n  kubectl get datavolumes\n\n`);
    if (options.sample) {
      const { source, slow, env } = options;
      const preferredPort = saved.samplePort;
      const sample = await startSample({
        ...(source === undefined ? {} : { source }),
        ...(preferredPort === undefined ? {} : { preferredPort }),
        slow,
        dir,
        client: embedded.client,
        out,
        env,
        log,
        signal,
      });
      closing.push(sample);
      if (sample.port !== undefined) await save(dir, { ...saved, samplePort: sample.port });
      const succeeded = await sample.finish();
      if (options.exit) return succeeded ? 0 : 1;
    }
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

/** What the last run in this folder used: kept so that kubeconfigs and DataVolumes of that run stay valid. */
interface Saved {
  port?: number;
  samplePort?: number;
}
const savedFile = (dir: string): string => join(dir, "up.json");

async function readSaved(dir: string): Promise<Saved> {
  const text = await readFile(savedFile(dir), "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return "{}";
    throw cause;
  });
  return JSON.parse(text) as Saved;
}
const save = (dir: string, saved: Saved): Promise<void> => writePrivate(savedFile(dir), JSON.stringify(saved));

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
