// An embedded cluster in the test's own process, with quick restarts, and the questions tests ask of it.
import { execFile } from "node:child_process";
import { cp, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DataVolume } from "../../src/api/data-volume.ts";
import { kinds } from "../../src/api/kinds.ts";
import type { KindRef, KubeObject } from "../../src/api/meta.ts";
import { startEmbedded, type Embedded, type EmbeddedOptions } from "../../src/embedded/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { checkout, removeDir, temporaryDir } from "./cdi-up.ts";
import { makeLog } from "../../src/telemetry/log.ts";
import type { AtEnd } from "./loop.ts";
import { watchForSecrets, type Described } from "./secret-watch.ts";

const run = promisify(execFile);

/** Container restarts without the kubelet's long waits. */
export const quickBackoff = { baseMs: 100, capMs: 400 };

export async function startCluster(
  atEnd: AtEnd,
  options: Partial<EmbeddedOptions> = {},
): Promise<Embedded & { dir: string }> {
  const dir = options.dir ?? (await temporaryDir());
  let printed = "";
  const embedded = await startEmbedded({
    dir,
    appDir: checkout,
    maxRunning: 2,
    backoff: quickBackoff,
    clock: systemClock,
    log: makeLog({ name: "cluster", verbosity: 5, stream: { write: (line) => (printed += line) } }),
    ...options,
  });
  const watch = watchForSecrets(dir, process.pid);
  atEnd(async () => {
    let told: Described[] = [];
    try {
      told = await whatIsTold(embedded);
    } finally {
      await embedded.close();
    }
    try {
      watch.end([...told, { where: "the cluster's log", text: printed }]);
    } finally {
      await removeDir(dir);
    }
  });
  return { ...embedded, dir };
}

/** Events, and statuses of what users look at. */
async function whatIsTold({ client }: Embedded): Promise<Described[]> {
  const events = await client.list(kinds.event);
  const told = [{ where: "events", text: JSON.stringify(events.items) }];
  for (const kind of [kinds.dataVolume, kinds.claim, kinds.pod]) {
    const { items } = await client.list(kind);
    told.push({ where: `statuses of ${kind.plural}`, text: JSON.stringify(items.map((item) => item["status"])) });
  }
  return told;
}

export interface Wish {
  name: string;
  url?: string;
  size: string;
  mode?: "Filesystem" | "Block";
  http?: Record<string, unknown>;
  annotations?: Record<string, string>;
  preallocation?: boolean;
  /** "" for none. */
  storageClass?: string;
  /** The volume its claim names. */
  volumeName?: string;
  /** Says `spec.storage` without an access mode, instead of `spec.pvc`. */
  asStorage?: boolean;
  contentType?: "kubevirt" | "archive";
}

/** A DataVolume in namespace default; without a URL it is blank. `size` is the claim's, nothing is added. */
export const dataVolumeOf = ({
  name,
  url,
  size,
  mode,
  http,
  annotations,
  preallocation,
  storageClass,
  volumeName,
  asStorage,
  contentType,
}: Wish): KubeObject => ({
  apiVersion: kinds.dataVolume.apiVersion,
  kind: kinds.dataVolume.kind,
  metadata: { name, namespace: "default", ...(annotations ? { annotations } : {}) },
  spec: {
    source: url === undefined ? { blank: {} } : { http: { url, ...http } },
    ...(contentType === undefined ? {} : { contentType }),
    ...(preallocation === undefined ? {} : { preallocation }),
    [asStorage ? "storage" : "pvc"]: {
      ...(asStorage ? {} : { accessModes: ["ReadWriteOnce"] }),
      ...(volumeName === undefined ? {} : { volumeName }),
      volumeMode: mode ?? "Filesystem",
      ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
      resources: { requests: { storage: size } },
    },
  },
});

/** Every state of one object in order, from now until `until` says so. Ends with an error after `limitMs`. */
export async function history<T extends KubeObject>(
  cluster: Embedded,
  kind: KindRef,
  name: string,
  until: (object: T) => boolean,
  limitMs = 120_000,
): Promise<T[]> {
  const states: T[] = [];
  const signal = AbortSignal.timeout(limitMs);
  const options = { namespace: "default", fieldSelector: `metadata.name=${name}` };
  try {
    for (;;) {
      const { items, resourceVersion } = await cluster.client.list(kind, options);
      for (const item of items) states.push(item as T);
      if (items.some((item) => until(item as T))) return states;
      for await (const event of cluster.client.watch(kind, { ...options, resourceVersion, signal })) {
        if (event.type === "BOOKMARK") continue;
        states.push(event.object as T);
        if (event.type !== "DELETED" && until(event.object as T)) return states;
      }
      signal.throwIfAborted();
    }
  } catch (cause) {
    if (!signal.aborted) throw cause;
    const shown = (object: KubeObject | undefined): string =>
      JSON.stringify({ version: object?.metadata.resourceVersion, status: object?.["status"] });
    const now = await cluster.client.get({ kind, namespace: "default", name });
    throw new Error(
      `${name} did not get there in ${limitMs} ms; last seen: ${shown(states.at(-1))}; now: ${shown(now)}`,
      {
        cause,
      },
    );
  }
}

export const phaseIs =
  (...phases: string[]) =>
  (object: DataVolume): boolean =>
    phases.includes(object.status?.phase ?? "");

export const isReady = (object: DataVolume): boolean =>
  (object.status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");

export const conditionOf = (object: DataVolume, type: string) =>
  (object.status?.conditions ?? []).find((one) => one.type === type);

export async function eventsAbout(
  cluster: Embedded,
  name: string,
  kind?: string,
): Promise<{ type: string; reason: string; message: string }[]> {
  const { items } = await cluster.client.list(kinds.event, { namespace: "default" });
  return items
    .map(
      (item) =>
        item as KubeObject & {
          involvedObject: { name: string; kind: string };
          type: string;
          reason: string;
          message: string;
        },
    )
    .filter(
      ({ involvedObject }) => involvedObject.name === name && (kind === undefined || involvedObject.kind === kind),
    )
    .map(({ type, reason, message }) => ({ type, reason, message }));
}

/** The disk in a claim's volume, read from its backing file: a device's bytes, or disk.img out of the file system. */
export async function diskOf(cluster: Embedded, claimName: string): Promise<Buffer | undefined> {
  const path = await backingOf(cluster, claimName);
  if ((await stat(path)).isDirectory()) return await readIfAny(join(path, "disk.img"));
  const claim = await cluster.client.get({ kind: kinds.claim, namespace: "default", name: claimName });
  if ((claim?.spec as { volumeMode?: string } | undefined)?.volumeMode === "Block") return await readFile(path);
  // debugfs reads a file system that is not mounted; it prints nothing for a file that is not there.
  const { stdout } = await run("debugfs", ["-R", "cat /disk.img", path], {
    encoding: "buffer",
    maxBuffer: 2 ** 31 - 1,
  });
  return stdout.length > 0 ? stdout : undefined;
}

/** Of disk.img on a claim's file system. */
export async function rightsOf(cluster: Embedded, claimName: string): Promise<{ group: number; mode: number }> {
  const path = await backingOf(cluster, claimName);
  const found = await stat(path);
  if (found.isDirectory()) {
    const { gid, mode } = await stat(join(path, "disk.img"));
    return { group: gid, mode: mode & 0o777 };
  }
  const { stdout } = await run("debugfs", ["-R", "stat /disk.img", path]);
  const [, mode = "", group = ""] = /Mode:\s+0?([0-7]+)\s[\s\S]*?Group:\s+(\d+)/.exec(stdout) ?? [];
  return { group: Number(group), mode: Number.parseInt(mode, 8) };
}

/** Where a claim's bytes are: the file of a device or file system, or a folder. */
async function backingOf(cluster: Embedded, claimName: string): Promise<string> {
  const claim = await cluster.client.get({ kind: kinds.claim, namespace: "default", name: claimName });
  const { volumeName } = (claim?.spec ?? {}) as { volumeName?: string };
  const volume = volumeName ? await cluster.client.get({ kind: kinds.volume, name: volumeName }) : undefined;
  const path = (volume?.spec as { local?: { path?: string } } | undefined)?.local?.path;
  if (path === undefined) throw new Error(`claim ${claimName} has no volume`);
  return path;
}

/** Copies the tree in a Filesystem claim's volume into a folder. */
export async function copyTreeOf(cluster: Embedded, claimName: string, folder: string): Promise<void> {
  const path = await backingOf(cluster, claimName);
  if ((await stat(path)).isDirectory()) await cp(path, folder, { recursive: true, verbatimSymlinks: true });
  else await run("debugfs", ["-R", `rdump / ${folder}`, path]);
}

const readIfAny = (path: string): Promise<Buffer | undefined> =>
  readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw cause;
  });

/** First bytes equal the image, all others zero. */
export function holdsImage(disk: Buffer, image: Buffer): boolean {
  const rest = disk.subarray(image.length);
  return disk.subarray(0, image.length).equals(image) && rest.equals(Buffer.alloc(rest.length));
}
