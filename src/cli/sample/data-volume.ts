// The sample's DataVolumes, and watching one until it is done.
import type { DataVolume } from "../../api/data-volume.ts";
import { kinds } from "../../api/kinds.ts";
import type { KubeClient } from "../../kube/index.ts";

export type VolumeMode = "Filesystem" | "Block";

export function sampleDataVolume(name: string, url: string, requestBytes: number, volumeMode: VolumeMode): DataVolume {
  return {
    apiVersion: kinds.dataVolume.apiVersion,
    kind: kinds.dataVolume.kind,
    metadata: { name, namespace: "default" },
    spec: {
      source: { http: { url } },
      storage: {
        accessModes: ["ReadWriteOnce"],
        volumeMode,
        resources: { requests: { storage: String(requestBytes) } },
      },
    },
  } as DataVolume;
}

const refOf = (name: string) => ({ kind: kinds.dataVolume, namespace: "default", name });

/** Makes the DataVolume; one of an earlier run that has ended is replaced, one still under way goes on. */
export async function ensureSample(client: KubeClient, wanted: DataVolume, signal: AbortSignal): Promise<void> {
  const name = wanted.metadata.name ?? "";
  const found = (await client.get(refOf(name))) as DataVolume | undefined;
  const ended = found && ["Succeeded", "Failed"].includes(found.status?.phase ?? "");
  if (found && !ended) return;
  if (found) {
    await client.delete(refOf(name), found.metadata.uid ? { uid: found.metadata.uid } : {});
    await untilGone(client, kinds.claim, name, signal);
  }
  await client.create(wanted, kinds.dataVolume);
}

async function untilGone(
  client: KubeClient,
  kind: typeof kinds.claim,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const options = { namespace: "default", fieldSelector: `metadata.name=${name}` };
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  for (;;) {
    const { items, resourceVersion } = await client.list(kind, options);
    if (items.length === 0) return;
    for await (const event of client.watch(kind, { ...options, resourceVersion, signal: either })) {
      if (event.type !== "DELETED") continue;
      stop.abort();
      return;
    }
    signal.throwIfAborted();
  }
}

/** Every state of these DataVolumes as it comes, until all have ended or the signal aborts. */
export async function* follow(client: KubeClient, names: string[], signal: AbortSignal): AsyncGenerator<DataVolume> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const open = new Set(names);
  while (open.size > 0) {
    signal.throwIfAborted();
    const { items, resourceVersion } = await client.list(kinds.dataVolume, { namespace: "default" });
    const mine = (object: { metadata: { name?: string } }): boolean => open.has(object.metadata.name ?? "");
    for (const item of items.filter(mine)) {
      yield item as DataVolume;
      if (hasEnded(item as DataVolume)) open.delete(item.metadata.name ?? "");
    }
    if (open.size === 0) return;
    for await (const event of client.watch(kinds.dataVolume, {
      namespace: "default",
      resourceVersion,
      signal: either,
    })) {
      if (event.type === "BOOKMARK" || !mine(event.object)) continue;
      yield event.object as DataVolume;
      if (event.type === "DELETED" || hasEnded(event.object as DataVolume))
        open.delete(event.object.metadata.name ?? "");
      if (open.size === 0) break;
    }
  }
  stop.abort();
}

/** Failed ends it; Succeeded counts once it is Ready. */
const hasEnded = ({ status }: DataVolume): boolean =>
  status?.phase === "Failed" ||
  (status?.phase === "Succeeded" &&
    (status.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True"));
