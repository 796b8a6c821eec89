// The controllers' view of the cluster: one cache a kind, with the indexes that make every question cheap.
import { components, labels } from "../api/labels.ts";
import type { DataVolume } from "../api/data-volume.ts";
import type { Claim, KubeEvent, Pod } from "../api/core.ts";
import { kinds } from "../api/kinds.ts";
import { keyOf, type Key, type KubeObject } from "../api/meta.ts";
import { startCache, type Cache, type CacheOptions, type IndexOf, type KubeClient } from "../kube/index.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { ourAnnotations } from "./parts/our-annotations.ts";

export interface World {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly dataVolumes: Cache;
  readonly claims: Cache;
  readonly pods: Cache;
  readonly volumes: Cache;
  readonly storageClasses: Cache;
  readonly storageProfiles: Cache;
  readonly cdiConfigs: Cache;
  /** In front of upload servers only. */
  readonly uploadServices: Cache;
  /** Events about claims only. */
  readonly claimEvents: Cache;
  /** What the kubelet says of volumes it cannot mount into pods. */
  readonly mountEvents: Cache;
}

/** Names of indexes. `owner`: UID of the controlling owner; `claim`: "namespace/name" of each claim a pod mounts. `phase`: of a DataVolume. `binding`: a claim's phase. `about`: UID of an event's object. */
export const indexNames = {
  owner: "owner",
  claim: "claim",
  phase: "phase",
  binding: "binding",
  about: "about",
} as const;

export const controllerOf = (object: KubeObject) => object.metadata.ownerReferences?.find((one) => one.controller);

/** An importer pod that nobody owns says by an annotation whose it is. */
const byOwner: IndexOf = (object) => {
  const uid = controllerOf(object)?.uid ?? object.metadata.annotations?.[ourAnnotations.claimUid];
  return uid === undefined ? [] : [uid];
};

const byPhase: IndexOf = (object) => [(object as DataVolume).status?.phase ?? ""];

const byAbout: IndexOf = (object) => [(object as KubeEvent).involvedObject.uid ?? ""];

const byBinding: IndexOf = (object) => [(object as Claim).status?.phase ?? "Pending"];

/** Claims a pod mounts, as "namespace/name". */
export const claimsOf: IndexOf = (object) =>
  ((object as Pod).spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: one }) =>
    one ? [`${object.metadata.namespace ?? ""}/${one.claimName}`] : [],
  );

const componentOf = (object: KubeObject): string | undefined => object.metadata.labels?.[labels.component];

export const isImporterPod = (object: KubeObject): boolean => componentOf(object) === components.importer;
export const isUploadPod = (object: KubeObject): boolean => componentOf(object) === components.uploadServer;
/** One that fills a claim. */
export const isWorkerPod = (object: KubeObject): boolean => isImporterPod(object) || isUploadPod(object);

/** Of pods that are not ours only this is read: who they are, which claims they mount, whether they have ended. */
function trimPod(object: KubeObject): KubeObject {
  if (isWorkerPod(object)) return object;
  const pod = object as Pod;
  const { name, namespace, uid, resourceVersion } = pod.metadata;
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    spec: { volumes: (pod.spec?.volumes ?? []).filter((one) => one.persistentVolumeClaim) },
    status: { phase: pod.status?.phase },
  };
}

/** What was said, when, about what. */
function trimEvent(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, involvedObject, message, lastTimestamp, source } = object as KubeEvent;
  const { name = "", namespace = "", uid = "" } = involvedObject;
  return { apiVersion, kind, metadata, involvedObject: { name, namespace, uid }, message, lastTimestamp, source };
}

/** Where our events say they come from. */
export const eventComponent = "cdi-controller";
export const isOwnEvent = (event: KubeObject): boolean => (event as KubeEvent).source?.component === eventComponent;

/** What a change of the feature gates may set going. */
export const unboundClaims = (world: World): Key[] =>
  world.claims.byIndex(indexNames.binding, "Pending").map((one) => keyOf(one));

/** Starts all caches and waits until each holds the cluster's present state. */
export async function startWorld(options: {
  client: KubeClient;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}): Promise<World & { stopped: Promise<unknown> }> {
  const { client, clock, log, signal } = options;
  const start = (
    kind: (typeof kinds)[keyof typeof kinds],
    more: Pick<CacheOptions, "indexes" | "trim" | "fieldSelector" | "labelSelector"> = {},
  ) => startCache({ client, kind, clock, log, ...more }, signal);
  const caches = {
    dataVolumes: start(kinds.dataVolume, { indexes: { [indexNames.phase]: byPhase } }),
    claims: start(kinds.claim, { indexes: { [indexNames.owner]: byOwner, [indexNames.binding]: byBinding } }),
    pods: start(kinds.pod, { indexes: { [indexNames.owner]: byOwner, [indexNames.claim]: claimsOf }, trim: trimPod }),
    volumes: start(kinds.volume),
    storageClasses: start(kinds.storageClass),
    storageProfiles: start(kinds.storageProfile),
    cdiConfigs: start(kinds.cdiConfig),
    uploadServices: start(kinds.service, {
      labelSelector: `${labels.component}=${components.uploadServer}`,
      indexes: { [indexNames.owner]: byOwner },
    }),
    claimEvents: start(kinds.event, {
      fieldSelector: "involvedObject.kind=PersistentVolumeClaim",
      indexes: { [indexNames.about]: byAbout },
      trim: trimEvent,
    }),
    mountEvents: start(kinds.event, {
      fieldSelector: "involvedObject.kind=Pod,reason=FailedMount",
      indexes: { [indexNames.about]: byAbout },
      trim: trimEvent,
    }),
  };
  await Promise.all(Object.values(caches).map((cache) => cache.synced()));
  const stopped = Promise.all(Object.values(caches).map((cache) => cache.stopped));
  return { client, clock, ...caches, stopped };
}
