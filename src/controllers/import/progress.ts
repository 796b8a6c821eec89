// Follows running importer pods: scrapes each every 2 s, keeps the last reading, and says when one has changed. No
// reconciler ever waits for a pod's answer.
import type { Pod } from "../../api/core.ts";
import type { KubeObject } from "../../api/meta.ts";
import { metricsPort } from "../../contract/paths.ts";
import { isSame, type Cache } from "../../kube/index.ts";
import type { Clock } from "../../lib/clock.ts";
import { seconds } from "../../lib/duration.ts";
import type { Log } from "../../lib/log.ts";
import { statusOf } from "../parts/fault-of-pod.ts";
import { fetchMetrics, readMetrics, type Reading } from "../parts/scrape.ts";
import { isImporterPod } from "../world.ts";

const everyMs = seconds(2);

export interface ProgressWatch {
  /** The last reading of the pod's present container; undefined before the first and after a restart. */
  readingOf(pod: Pod): Reading | undefined;
  close(): Promise<void>;
}

export interface ProgressOptions {
  pods: Cache;
  clock: Clock;
  log: Log;
  /** Called when a pod's reading has changed. */
  onReading: (pod: Pod) => void;
  /** For tests; asks the pod over HTTPS by default. */
  fetch?: typeof fetchMetrics;
}

export function watchProgress({ pods, clock, log, onReading, fetch = fetchMetrics }: ProgressOptions): ProgressWatch {
  const stop = new AbortController();
  const readings = new Map<string, { restarts: number; reading: Reading }>();
  const following = new Map<string, Promise<void>>();

  const live = (pod: Pod): Pod | undefined => {
    const now = pods.get({
      name: pod.metadata.name ?? "",
      ...(pod.metadata.namespace === undefined ? {} : { namespace: pod.metadata.namespace }),
    });
    return now?.metadata.uid === pod.metadata.uid ? (now as Pod) : undefined;
  };

  async function follow(first: Pod, uid: string): Promise<void> {
    for (let pod = live(first); pod && isRunning(pod) && !stop.signal.aborted; pod = live(first)) {
      await scrape(pod, uid);
      await clock.sleep(everyMs, stop.signal).catch((cause: unknown) => {
        if (!stop.signal.aborted) throw cause;
      });
    }
  }

  async function scrape(pod: Pod, uid: string): Promise<void> {
    const restarts = statusOf(pod)?.restartCount ?? 0;
    try {
      const text = await fetch(pod.status?.podIP ?? "", portOf(pod), stop.signal);
      const reading = readMetrics(text, ownerUidOf(pod));
      const last = readings.get(uid);
      if (last?.restarts === restarts && isSame(last.reading, reading)) return;
      readings.set(uid, { restarts, reading });
      onReading(pod);
    } catch (cause) {
      // Not listening yet, or already gone: the next round or the next watch event tells.
      log.debug("Skipping a scrape", {
        pod: pod.metadata.name,
        cause: cause instanceof Error ? cause.message : String(cause),
      });
    }
  }

  function start(pod: Pod, uid: string): void {
    if (stop.signal.aborted || following.has(uid) || !isImporterPod(pod) || !isRunning(pod)) return;
    const followed = follow(pod, uid).finally(() => {
      following.delete(uid);
      const now = live(pod);
      if (now) start(now, uid);
      else readings.delete(uid);
    });
    following.set(uid, followed);
  }

  pods.onChange(({ before, after }) => {
    const uid = (after ?? before)?.metadata.uid;
    if (uid !== undefined && after) start(after as Pod, uid);
    if (uid !== undefined && !after && !following.has(uid)) readings.delete(uid);
  });

  return {
    readingOf(pod) {
      const last = readings.get(pod.metadata.uid ?? "");
      return last?.restarts === statusOf(pod)?.restartCount ? last?.reading : undefined;
    },
    async close() {
      stop.abort();
      await Promise.all(following.values());
    },
  };
}

function isRunning(object: KubeObject): boolean {
  const pod = object as Pod;
  return pod.status?.podIP !== undefined && statusOf(pod)?.state?.running !== undefined;
}

const portOf = (pod: Pod): number =>
  pod.spec.containers.flatMap((one) => one.ports ?? []).find((port) => port.name === "metrics")?.containerPort ??
  metricsPort;

const ownerUidOf = (pod: Pod): string =>
  pod.spec.containers.flatMap((one) => one.env ?? []).find((one) => one.name === "OWNER_UID")?.value ?? "";
