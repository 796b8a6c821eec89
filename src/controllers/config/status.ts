// What of CDIConfig's status follows from its spec and the storage classes (interfaces/storage-decisions.md section 4): every
// knob with its default filled in. Pure.
import type { CdiConfigSpec, CdiConfigStatus, FilesystemOverhead } from "../../api/cdi-config.ts";
import type { StorageClass } from "../../api/core.ts";
import type { PodResources } from "../../api/resource-requirements.ts";
import { defaultOverhead } from "../parts/overhead.ts";
import { shippedResources } from "../parts/worker-pod.ts";

type Knobs = Pick<
  CdiConfigStatus,
  | "defaultPodResourceRequirements"
  | "filesystemOverhead"
  | "imagePullSecrets"
  | "importProxy"
  | "preallocation"
  | "scratchSpaceStorageClass"
>;

export function knobsOf(spec: CdiConfigSpec, classes: readonly StorageClass[]): Knobs {
  const names = classes.map((one) => one.metadata.name ?? "").toSorted();
  const { scratchSpaceStorageClass: scratch = "", importProxy, imagePullSecrets } = spec;
  return {
    preallocation: spec.preallocation ?? false,
    // A class that is not there is no class: scratch space then comes from the target's own.
    scratchSpaceStorageClass: names.includes(scratch) ? scratch : "",
    defaultPodResourceRequirements: resourcesOf(spec.podResourceRequirements),
    filesystemOverhead: overheadsOf(spec.filesystemOverhead, names),
    ...(importProxy ? { importProxy } : {}),
    ...(imagePullSecrets?.length ? { imagePullSecrets } : {}),
  };
}

/** Processor and memory only, each on its own. */
function resourcesOf(asked: PodResources | undefined): PodResources {
  const of = (part: "limits" | "requests"): Record<string, string | number> => ({
    cpu: asked?.[part]?.["cpu"] ?? shippedResources[part].cpu,
    memory: asked?.[part]?.["memory"] ?? shippedResources[part].memory,
  });
  return { limits: of("limits"), requests: of("requests") };
}

const isShare = (text: string | undefined): text is string => text !== undefined && /^(0(?:\.\d{1,3})?|1)$/.test(text);

/** One entry a class. A class whose entry is not a share ends the list, as upstream's does. */
function overheadsOf(asked: FilesystemOverhead | undefined, names: readonly string[]): FilesystemOverhead {
  const global = isShare(asked?.global) ? asked.global : defaultOverhead;
  const own = asked?.storageClass ?? {};
  const wrong = names.findIndex((name) => name in own && !isShare(own[name]));
  const told = wrong < 0 ? names : names.slice(0, wrong);
  return { global, storageClass: Object.fromEntries(told.map((name) => [name, own[name] ?? global])) };
}
