// Events of the node's own components (scheduler, kubelet, binder): one object per thing said, its count raised on repeats.
import { randomInt } from "node:crypto";
import { kinds } from "../api/kinds.ts";
import type { KubeObject } from "../api/meta.ts";
import { stamp, type Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { KubeClient } from "../kube/index.ts";

export interface Said {
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  /** "spec.containers{importer}" */
  fieldPath?: string;
}

export interface Teller {
  /** Queued; an event that cannot be written is logged and dropped, as everywhere in Kubernetes. */
  tell(about: KubeObject, said: Said): void;
  /** Resolves when all that was told is written. */
  flush(): Promise<void>;
}

const remembered = 4096;

/** @param component source.component of the events ("kubelet") */
export function createTeller(client: KubeClient, component: string, host: string, clock: Clock, log: Log): Teller {
  const told = new Map<string, { namespace: string; name: string; count: number }>();
  let line: Promise<void> = Promise.resolve();
  // Names are made of the time and this: several components tell things about one pod in the same millisecond.
  let serial = randomInt(1_000_000);

  async function write(about: KubeObject, said: Said): Promise<void> {
    const { uid = "", name = "", namespace = "default" } = about.metadata;
    const key = JSON.stringify([uid, said.reason, said.message, said.fieldPath]);
    const now = stamp(clock.now());
    const before = told.get(key);
    if (before) {
      before.count += 1;
      const ref = { kind: kinds.event, namespace: before.namespace, name: before.name };
      await client.patch(ref, { count: before.count, lastTimestamp: now }, { type: "merge" });
      return;
    }
    serial += 1;
    const suffix = (BigInt(clock.now()) * 1_000_000n + BigInt(serial % 1_000_000)).toString(16);
    const event: KubeObject = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${suffix}`, namespace },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name,
        ...(about.metadata.namespace ? { namespace } : {}),
        uid,
        ...(about.metadata.resourceVersion ? { resourceVersion: about.metadata.resourceVersion } : {}),
        ...(said.fieldPath ? { fieldPath: said.fieldPath } : {}),
      },
      type: said.type,
      reason: said.reason,
      message: said.message,
      source: { component, host },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      reportingComponent: component,
      reportingInstance: host,
    };
    if (told.size >= remembered) told.clear();
    told.set(key, { namespace, name: `${name}.${suffix}`, count: 1 });
    await client.create(event, kinds.event);
  }

  return {
    tell(about, said) {
      line = line
        .then(() => write(about, said))
        .catch((cause: unknown) => log.debug("Event not written", { reason: said.reason, cause }));
    },
    flush: () => line,
  };
}
