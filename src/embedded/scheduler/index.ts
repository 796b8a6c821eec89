// The door of the scheduler: every pod without a node gets the one there is, at once.
import { kinds } from "../../api/kinds.ts";
import { keyOf, shownKey, type KubeObject } from "../../api/meta.ts";
import { startCache, type KubeClient } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { runKeyed } from "../keyed.ts";
import { createTeller } from "../tell.ts";
import { volumeAnnotations } from "../volumes/index.ts";

export interface SchedulerOptions {
  client: KubeClient;
  nodeName: string;
  clock: Clock;
  log: Log;
}

interface PodToPlace extends KubeObject {
  spec: { nodeName?: string; volumes?: { persistentVolumeClaim?: { claimName: string } }[] };
}

/** The condition PodScheduled is the node's to write, in one write with the rest of the pod's status. */
export async function startScheduler(options: SchedulerOptions): Promise<{ close(): Promise<void> }> {
  const { client, nodeName, clock, log } = options;
  const stop = new AbortController();
  const pods = startCache({ client, kind: kinds.pod, clock, log }, stop.signal);
  await pods.synced();
  const teller = createTeller(client, "default-scheduler", nodeName, clock, log);

  const work = runKeyed(
    async (key) => {
      const [namespace = "", name = ""] = key.split("/");
      const pod = pods.get({ namespace, name }) as PodToPlace | undefined;
      if (!pod || pod.spec.nodeName || pod.metadata.deletionTimestamp) return;
      await selectNode(client, pod, nodeName);
      const { resourceVersion } = pod.metadata;
      const body = { metadata: { resourceVersion }, spec: { nodeName } };
      await client.patch({ kind: kinds.pod, namespace, name }, body, { type: "merge" });
      const message = `Successfully assigned ${key} to ${nodeName}`;
      teller.tell(pod, { type: "Normal", reason: "Scheduled", message });
    },
    2,
    clock,
    log,
  );
  pods.onChange(({ after }) => {
    if (after && !(after as PodToPlace).spec.nodeName) work.add(shownKey(keyOf(after)));
  });
  return {
    async close() {
      await work.close();
      stop.abort();
      await pods.stopped;
      await teller.flush();
    },
  };
}

/** Claims that wait for their first consumer learn of it here, as from the real scheduler. */
async function selectNode(client: KubeClient, pod: PodToPlace, nodeName: string): Promise<void> {
  const { namespace = "" } = pod.metadata;
  for (const { persistentVolumeClaim } of pod.spec.volumes ?? []) {
    if (!persistentVolumeClaim) continue;
    const ref = { kind: kinds.claim, namespace, name: persistentVolumeClaim.claimName };
    const claim = (await client.get(ref)) as (KubeObject & { spec: { volumeName?: string } }) | undefined;
    if (!claim || claim.spec.volumeName || claim.metadata.annotations?.[volumeAnnotations.selectedNode]) continue;
    const annotations = { [volumeAnnotations.selectedNode]: nodeName };
    await client.patch(ref, { metadata: { annotations } }, { type: "merge" });
  }
}
