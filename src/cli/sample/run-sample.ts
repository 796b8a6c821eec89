// The sample of `cdi up`: one image over HTTP into a Filesystem and a Block volume, shown while it goes.
import { join } from "node:path";
import { sourceFrom } from "../../../importer/index.ts";
import { readImageInfo } from "../../datapath/index.ts";
import type { KubeClient } from "../../kube/index.ts";
import { systemClock } from "../../lib/clock.ts";
import { Fault } from "../../lib/faults.ts";
import type { Log } from "../../lib/log.ts";
import { ensureSample, follow, sampleDataVolume } from "./data-volume.ts";
import { serveFile } from "./file-server.ts";
import { ensureSampleImage } from "./image.ts";
import { liveLine } from "./live-line.ts";

export interface SampleJob {
  /** A URL to import instead of the generated image. */
  source?: string;
  /** Hold the generated image's server to 60 MB/s. */
  slow: boolean;
  /** Data folder of `cdi up`. */
  dir: string;
  /** The server's port in the last run: URLs of DataVolumes still under way stay valid. */
  preferredPort?: number;
  client: KubeClient;
  out: NodeJS.WritableStream;
  env: Readonly<Record<string, string | undefined>>;
  log: Log;
  signal: AbortSignal;
}

export interface SampleRun {
  /** Absent when a URL was given. */
  readonly port?: number;
  /** @returns whether every DataVolume ended in Succeeded */
  finish(): Promise<boolean>;
  close(): Promise<void>;
}

const slowBytesPerSecond = 60_000_000;
const names = { Filesystem: "sample-filesystem", Block: "sample-block" } as const;

/** Serves the image; nothing is imported before `finish`. @throws Fault */
export async function startSample(job: SampleJob): Promise<SampleRun> {
  const { url, requestBytes, ...server } =
    job.source === undefined ? await serveImage(job) : await askSource(job.source, job);
  return { ...server, finish: () => importBoth(job, url, requestBytes) };
}

async function importBoth({ client, out, signal }: SampleJob, url: string, requestBytes: number): Promise<boolean> {
  for (const volumeMode of ["Filesystem", "Block"] as const) {
    await ensureSample(client, sampleDataVolume(names[volumeMode], url, requestBytes, volumeMode), signal);
  }
  const line = liveLine(out);
  const phases = new Map<string, string>();
  for await (const dataVolume of follow(client, Object.values(names), signal)) {
    line.show(dataVolume);
    phases.set(dataVolume.metadata.name ?? "", dataVolume.status?.phase ?? "");
  }
  line.end();
  const failed = Object.values(names).filter((name) => phases.get(name) !== "Succeeded");
  if (failed.length === 0) out.write(`Both disks are there: ${Object.values(names).join(", ")}.\n`);
  else out.write(`Failed: ${failed.join(", ")}. To see why: kubectl describe datavolume ${failed.join(" ")}\n`);
  return failed.length === 0;
}

interface Served {
  url: string;
  requestBytes: number;
  port?: number;
  close(): Promise<void>;
}

async function serveImage({ dir, preferredPort, slow, out, log, signal }: SampleJob): Promise<Served> {
  out.write("Preparing the sample image (the first time takes a few seconds).\n");
  const image = await ensureSampleImage(join(dir, "sample"), log, signal);
  out.write(`It boots from ${image.origin}: 1 GiB virtual, 200 MiB of generated data, compressed qcow2.\n`);
  const server = await serveFile({
    path: image.path,
    ...(preferredPort === undefined ? {} : { preferredPort }),
    ...(slow ? { bytesPerSecond: slowBytesPerSecond } : {}),
    clock: systemClock,
    log,
  });
  return { url: server.url, requestBytes: image.virtualSizeBytes, port: server.port, close: () => server.close() };
}

/** Looks at the head of a foreign image, to know how large a claim it needs. */
async function askSource(url: string, { env, log, signal }: SampleJob): Promise<Served> {
  const source = await sourceFrom(url, { headers: [], caFiles: [], insecure: false, env, log });
  try {
    const { virtualSizeBytes, sizeBytes, layers } = await readImageInfo(source, signal);
    const requestBytes = virtualSizeBytes ?? (layers.length === 0 ? sizeBytes : undefined);
    if (requestBytes === undefined) {
      throw new Fault(
        "ConfigInvalid",
        `${source.name} does not tell its disk's size before it is unpacked: apply a DataVolume with a size of your own`,
      );
    }
    return { url, requestBytes: Math.max(requestBytes, 1024 * 1024), close: () => Promise.resolve() };
  } finally {
    await source.close();
  }
}
