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
  status?: { phase?: string };
}

/** The condition PodScheduled is the node's to write, in one write with the rest of the pod's status. */
export async function startScheduler(options: SchedulerOptions): Promise<{ close(): Promise<void> }> {
  const { client, nodeName, clock, log } = options;
  const stop = new AbortController();
  const pods = startCache({ client, kind: kinds.pod, clock, log, indexes: { claim: claimIdsOf } }, stop.signal);
  const claims = startCache({ client, kind: kinds.claim, clock, log }, stop.signal);
  await Promise.all([pods.synced(), claims.synced()]);
  const teller = createTeller(client, "default-scheduler", nodeName, clock, log);

  const work = runKeyed(
    async (key) => {
      const [namespace = "", name = ""] = key.split("/");
      const pod = pods.get({ namespace, name }) as PodToPlace | undefined;
      if (!pod || isEnded(pod) || pod.metadata.deletionTimestamp) return;
      await selectNode(client, pod, nodeName);
      if (pod.spec.nodeName) return;
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
  // A claim may be made after the pod that mounts it: its first consumer is here already.
  claims.onChange(({ after }) => {
    if (!after || isSettled(after as ClaimToBind)) return;
    for (const pod of pods.byIndex("claim", shownKey(keyOf(after)))) work.add(shownKey(keyOf(pod)));
  });
  return {
    async close() {
      await work.close();
      stop.abort();
      await Promise.all([pods.stopped, claims.stopped]);
      await teller.flush();
    },
  };
}

interface ClaimToBind extends KubeObject {
  spec: { volumeName?: string };
}

const claimNamesOf = (pod: PodToPlace): string[] =>
  (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? []);
const claimIdsOf = (object: KubeObject): string[] =>
  claimNamesOf(object as PodToPlace).map((name) => `${object.metadata.namespace ?? ""}/${name}`);
const isEnded = (pod: PodToPlace): boolean => ["Succeeded", "Failed"].includes(pod.status?.phase ?? "");
/** Bound, or its node is known: nothing is left to say. */
const isSettled = ({ spec, metadata }: ClaimToBind): boolean =>
  Boolean(spec.volumeName) || metadata.annotations?.[volumeAnnotations.selectedNode] !== undefined;

/** Claims that wait for their first consumer learn of it here, as from the real scheduler. */
async function selectNode(client: KubeClient, pod: PodToPlace, nodeName: string): Promise<void> {
  const { namespace = "" } = pod.metadata;
  for (const name of claimNamesOf(pod)) {
    const ref = { kind: kinds.claim, namespace, name };
    const claim = (await client.get(ref)) as ClaimToBind | undefined;
    if (!claim || isSettled(claim)) continue;
    const annotations = { [volumeAnnotations.selectedNode]: nodeName };
    await client.patch(ref, { metadata: { annotations } }, { type: "merge" });
  }
}
