// The DataVolume of an upload: made when it is not there, and waited for.
import { annotations } from "../../api/annotations.ts";
import type { DataVolume } from "../../api/data-volume.ts";
import { kinds } from "../../api/kinds.ts";
import { isAlreadyExists, type KubeClient } from "../../kube/index.ts";
import { systemClock } from "../../lib/clock.ts";
import { minutes, seconds } from "../../lib/duration.ts";
import { Fault } from "../../lib/faults.ts";
import { UsageError } from "../output.ts";

export interface Named {
  readonly namespace: string;
  readonly name: string;
}
export interface Wanted extends Named {
  /** Undefined when neither the image nor the user says it. */
  readonly sizeBytes: number | undefined;
  readonly storageClass: string | undefined;
  readonly isBlock: boolean;
  readonly bindsAtOnce: boolean;
}

const pollMs = 500;
const patienceMs = minutes(5);
/** Longer than it takes where all is well. */
const tellAfterMs = seconds(5);

const read = async (client: KubeClient, { namespace, name }: Named): Promise<DataVolume | undefined> =>
  (await client.get({ kind: kinds.dataVolume, namespace, name })) as DataVolume | undefined;

export const phaseOf = async (client: KubeClient, named: Named): Promise<string | undefined> =>
  (await read(client, named))?.status?.phase;

/**
 * Resolves when bytes may come.
 * @param onWait hears what a long wait is for, whenever that changes
 * @throws UsageError, Fault UploadRefused
 */
export async function readyTarget(
  client: KubeClient,
  wanted: Wanted,
  onWait: (why: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const shown = `dv/${wanted.name}`;
  const found = await read(client, wanted);
  if (found && !found.spec.source?.upload) {
    throw new Fault("UploadRefused", `${shown} is there and is not filled by upload`);
  }
  if (found?.status?.phase === "Succeeded") throw new Fault("UploadRefused", `${shown} is already filled`);
  if (!found) await make(client, wanted);
  let told = "";
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const now = await read(client, wanted);
    if (!now) throw new Fault("UploadRefused", `${shown} is gone`);
    const phase = now.status?.phase ?? "";
    if (phase === "UploadReady") return;
    if (phase === "WaitForFirstConsumer" || phase === "PendingPopulation") {
      const what = `${shown} waits for its first consumer: start one, or use --force-bind`;
      throw new Fault("UploadRefused", what);
    }
    const why = `${shown} is not ready: ${phase || "no phase"}${saidBy(now)}`;
    if (waitedMs >= patienceMs) throw new Fault("UploadRefused", why);
    if (waitedMs >= tellAfterMs && why !== told) onWait((told = why));
    await systemClock.sleep(pollMs, signal);
  }
}

function saidBy({ status }: DataVolume): string {
  const said = status?.conditions?.find(({ status: is, message }) => is === "False" && message);
  return said?.message ? `, ${said.message}` : "";
}

async function make(client: KubeClient, wanted: Wanted): Promise<void> {
  const { namespace, name, sizeBytes, storageClass, isBlock, bindsAtOnce } = wanted;
  if (sizeBytes === undefined) {
    throw new UsageError("the image does not say how large its disk is: give --size");
  }
  const object: DataVolume = {
    apiVersion: kinds.dataVolume.apiVersion,
    kind: kinds.dataVolume.kind,
    metadata: { namespace, name, ...(bindsAtOnce ? { annotations: { [annotations.bindImmediate]: "" } } : {}) },
    spec: {
      contentType: "kubevirt",
      source: { upload: {} },
      storage: {
        resources: { requests: { storage: String(sizeBytes) } },
        ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
        ...(isBlock ? { volumeMode: "Block" } : {}),
      },
    },
  };
  await client.create(object, kinds.dataVolume).catch((cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause;
  });
}

export async function untilSucceeded(client: KubeClient, named: Named, signal: AbortSignal): Promise<void> {
  while ((await phaseOf(client, named)) !== "Succeeded") await systemClock.sleep(pollMs, signal);
}
