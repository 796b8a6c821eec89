// All that a DataVolume is decided on, read from the caches.
import { cdiConfigName, type CdiConfig } from "../../../api/cdi-config.ts";
import type { Claim, Pod, StorageClass, Volume } from "../../../api/core.ts";
import type { DataVolume } from "../../../api/data-volume.ts";
import type { Key } from "../../../api/meta.ts";
import type { StorageProfile } from "../../../api/storage-profile.ts";
import type { ProgressWatch } from "../../import/progress.ts";
import type { StorageFacts } from "../../parts/render-claim.ts";
import type { Reading } from "../../parts/scrape.ts";
import { indexNames, isImporterPod, type World } from "../../world.ts";

export interface DataVolumeFacts {
  dataVolume: DataVolume;
  /** The claim of the DataVolume's name, whoever made it. */
  claim?: Claim;
  storage: StorageFacts;
  reading: Reading | undefined;
}

/** @returns undefined when there is no such DataVolume */
export function observeDataVolume(world: World, progress: ProgressWatch, key: Key): DataVolumeFacts | undefined {
  const dataVolume = world.dataVolumes.get(key) as DataVolume | undefined;
  if (!dataVolume) return undefined;
  const claim = world.claims.get(key) as Claim | undefined;
  const pod = world.pods.byIndex(indexNames.owner, claim?.metadata.uid ?? "").find(isImporterPod) as Pod | undefined;
  return {
    dataVolume,
    ...(claim ? { claim } : {}),
    storage: {
      config: world.cdiConfigs.get({ name: cdiConfigName }) as CdiConfig | undefined,
      classes: world.storageClasses.list() as StorageClass[],
      profiles: world.storageProfiles.list() as StorageProfile[],
      volumes: claim ? [] : (world.volumes.list() as Volume[]),
    },
    reading: pod ? progress.readingOf(pod) : undefined,
  };
}
