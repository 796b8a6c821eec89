// What `cdi upload` does: the DataVolume first, then its proxy, then the bytes.
import { open, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { makeRateMeter, sourceFrom } from "../../../importer/index.ts";
import { readImageInfo, type ImageInfo } from "../../datapath/index.ts";
import { clientNodeClient, type KubeClient } from "../../kube/index.ts";
import { systemClock } from "../../lib/clock.ts";
import { Fault } from "../../lib/faults.ts";
import { silentLog } from "../../lib/log.ts";
import { shownBytes } from "../../lib/quantity.ts";
import { UsageError, type OutputForm } from "../output.ts";
import { showProgress, shownSeconds } from "../progress-bar.ts";
import type { Surroundings } from "../surroundings.ts";
import { clusterFault } from "./cluster-fault.ts";
import { forget, recall, remember, urlBehind, type Remembered } from "./memory.ts";
import { findProxy } from "./proxy.ts";
import { sendByTus } from "./send.ts";
import { phaseOf, readyTarget, untilSucceeded, type Wanted } from "./target.ts";

export interface UploadFlags {
  readonly namespace: string;
  readonly size?: number;
  readonly storageClass?: string;
  readonly block?: boolean;
  readonly forceBind?: boolean;
  readonly wait?: boolean;
  readonly uploadproxyUrl?: string;
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly kubeconfig?: string;
  readonly output: OutputForm;
}

export async function runUpload(file: string, name: string, flags: UploadFlags, at: Surroundings): Promise<void> {
  const begun = performance.now();
  const path = resolve(file);
  const { namespace } = flags;
  const info = await imageInfo(path, at);
  const sizeBytes = (await stat(path)).size;
  const client = clientOf(flags, at);
  try {
    const about = { namespace, name, path, sizeBytes, modifiedMs: Math.floor((await stat(path)).mtimeMs) };
    const before = await recall(about, at.env);
    if (before && (await phaseOf(client, about)) === "Succeeded") {
      // The last answer of an earlier run was lost on its way.
      await forget(about, at.env);
      return tell({ sizeBytes: 0, resumedFrom: sizeBytes }, begun, file, name, flags, at);
    }
    const onWait = (why: string): void => void (flags.output === "text" && at.stderr.write(`cdi: waiting: ${why}\n`));
    await readyTarget(client, wantedOf(name, info, flags), onWait, at.signal);
    const proxy = await findProxy(client, flags);
    const sent = await send(client, { about, before, proxy, flags, at });
    await forget(about, at.env);
    if (flags.wait) await untilSucceeded(client, about, at.signal);
    tell(sent, begun, file, name, flags, at);
  } catch (cause) {
    throw clusterFault(cause);
  } finally {
    client.close();
  }
}

async function imageInfo(path: string, { env, signal }: Surroundings): Promise<ImageInfo> {
  const source = await sourceFrom(path, { headers: [], caFiles: [], insecure: false, env, log: silentLog });
  try {
    return await readImageInfo(source, signal);
  } finally {
    await source.close();
  }
}

function clientOf({ kubeconfig }: UploadFlags, { env }: Surroundings): KubeClient & { close(): void } {
  const path = kubeconfig ?? env["KUBECONFIG"]?.split(delimiter)[0] ?? join(homedir(), ".kube", "config");
  try {
    return clientNodeClient({ kubeconfig: path });
  } catch (cause) {
    throw new UsageError(`kubeconfig ${path} cannot be used: ${(cause as Error).message}`);
  }
}

const wantedOf = (name: string, info: ImageInfo, flags: UploadFlags): Wanted => ({
  namespace: flags.namespace,
  name,
  sizeBytes: flags.size ?? info.virtualSizeBytes,
  storageClass: flags.storageClass,
  isBlock: flags.block ?? false,
  bindsAtOnce: flags.forceBind ?? false,
});

interface Sending {
  about: Parameters<typeof recall>[0];
  before: Remembered | undefined;
  proxy: Awaited<ReturnType<typeof findProxy>>;
  flags: UploadFlags;
  at: Surroundings;
}

async function send(client: KubeClient, { about, before, proxy, flags, at }: Sending) {
  let done = 0;
  const meter = makeRateMeter();
  const { sizeBytes: bytesTotal } = about;
  const endLine =
    flags.output === "text" && at.stderr.isTTY
      ? showProgress(at.stderr, () => {
          const bytesPerSecond = meter.read(done, Date.now());
          const fraction = bytesTotal === 0 ? 0 : done / bytesTotal;
          const rate = bytesPerSecond === undefined ? {} : { bytesPerSecond };
          return { stage: "uploading", fraction, bytesDone: done, bytesTotal, ...rate };
        })
      : undefined;
  const file = await open(about.path, "r").catch((cause: unknown) => {
    throw new Fault("SourceUnreadable", `${about.path} cannot be read: ${(cause as Error).message}`, { cause });
  });
  try {
    return await sendByTus({
      client,
      proxy,
      about,
      file,
      url: urlBehind(proxy.endpoint, before),
      onUrl: (url) => remember(about, { url }, at.env),
      onProgress: (bytes) => (done = bytes),
      clock: systemClock,
      signal: at.signal,
    });
  } finally {
    await file.close();
    endLine?.();
  }
}

function tell(
  { sizeBytes, resumedFrom }: { sizeBytes: number; resumedFrom: number },
  begun: number,
  file: string,
  name: string,
  { output, namespace }: UploadFlags,
  { stdout }: Surroundings,
): void {
  const seconds = (performance.now() - begun) / 1000;
  if (output === "json") {
    const rounded = Math.round(seconds * 1000) / 1000;
    const target = { namespace, dataVolume: name };
    stdout.write(`${JSON.stringify({ ok: true, ...target, bytesSent: sizeBytes, resumedFrom, seconds: rounded })}\n`);
    return;
  }
  const resumed = resumedFrom > 0 ? `, from byte ${resumedFrom} on` : "";
  stdout.write(`${file} is in dv/${name}: ${shownBytes(sizeBytes)} sent in ${shownSeconds(seconds)}${resumed}\n`);
}
