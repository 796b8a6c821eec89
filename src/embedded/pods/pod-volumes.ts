// A pod's volumes: which of them can be made now, and making them - claims attached, files written, scratch folders created.
import { chmod, mkdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { podPaths } from "../../contract/paths.ts";
import { kinds } from "../../api/kinds.ts";
import type { Cache } from "../../kube/index.ts";
import type { Attachment, Road, Volumes } from "../volumes/index.ts";
import { filesIn } from "./environment.ts";
import { writeFilesVolume } from "./files-volume.ts";
import type { Mount } from "./launch.ts";
import type { Container, Pod, PodVolume } from "./pod-types.ts";

export interface VolumeSources {
  volumes: Volumes;
  claims: Cache;
  secrets: Cache;
  configMaps: Cache;
}

export interface PodVolumesMade {
  mountsFor(container: Container): Mount[];
  /** Bytes of the volume under /data or of the block device, else of the first claim (folder road). */
  volumeBytes: number | undefined;
  /** Bytes of the largest claim it mounts; undefined where it mounts none. */
  fileLimitFor(container: Container): number | undefined;
  /** Writes Secrets and ConfigMaps that have changed again. */
  refresh(): Promise<void>;
  release(): Promise<void>;
}

type Complaint = { volume: string; message: string; isSilent?: boolean };

/** What keeps the pod from starting; undefined when all is there. `isSilent`: the ordinary wait for binding. */
export function missingFor(pod: Pod, { claims, ...sources }: VolumeSources): Complaint | undefined {
  const { namespace = "" } = pod.metadata;
  for (const volume of pod.spec.volumes ?? []) {
    const claimName = volume.persistentVolumeClaim?.claimName;
    if (claimName !== undefined) {
      const claim = claims.get({ namespace, name: claimName }) as { status?: { phase?: string } } | undefined;
      const phase = claim?.status?.phase;
      if (phase === "Bound") continue;
      const said = claim
        ? `persistentvolumeclaim "${claimName}" is ${phase}`
        : `persistentvolumeclaim "${claimName}" not found`;
      return { volume: volume.name, message: said, isSilent: claim !== undefined && phase !== "Lost" };
    }
    const files = filesSource(volume);
    if (files && !files.optional && !objectOf(pod, volume, sources)) {
      return { volume: volume.name, message: `${files.kind} "${files.name}" not found` };
    }
    if (!files && !volume.emptyDir)
      return { volume: volume.name, message: "this node does not offer this kind of volume" };
  }
  return undefined;
}

function filesSource(volume: PodVolume) {
  const { secret, configMap } = volume;
  if (secret) return { kind: "secret", name: secret.secretName ?? "", ...secret };
  return configMap ? { kind: "configmap", ...configMap, name: configMap.name ?? "" } : undefined;
}

function objectOf(pod: Pod, volume: PodVolume, { secrets, configMaps }: Pick<VolumeSources, "secrets" | "configMaps">) {
  const source = filesSource(volume);
  if (!source) return undefined;
  const cache = source.kind === "secret" ? secrets : configMaps;
  return cache.get({ namespace: pod.metadata.namespace ?? "", name: source.name });
}

/** @param folder the pod's folder for volumes. @throws Error with a sentence; then nothing stays attached */
export async function makeVolumes(pod: Pod, folder: string, sources: VolumeSources): Promise<PodVolumesMade> {
  const { volumes } = sources;
  const { road } = volumes;
  const fsGroup = road === "device" ? pod.spec.securityContext?.fsGroup : undefined;
  const claims = new Map<string, Attachment>();
  const written = new Map<string, string | undefined>();
  const folderOf = (volume: PodVolume): string => join(folder, volume.name);

  async function writeFiles(volume: PodVolume): Promise<void> {
    const source = filesSource(volume);
    if (!source) return;
    const object = objectOf(pod, volume, sources);
    const version = object?.metadata.resourceVersion;
    if (written.has(volume.name) && (written.get(volume.name) === version || !object)) return;
    const { items, defaultMode } = source;
    const files = filesIn(object);
    await writeFilesVolume(folderOf(volume), { files, items: object ? items : [], defaultMode, fsGroup });
    written.set(volume.name, version);
  }
  async function release(): Promise<void> {
    for (const attachment of claims.values()) await attachment.release();
  }

  try {
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.persistentVolumeClaim) claims.set(volume.name, await attachClaim(pod, volume, sources));
      else if (volume.emptyDir) await makeEmptyDir(folderOf(volume));
      else await writeFiles(volume);
    }
  } catch (cause) {
    await release();
    throw cause;
  }
  const sizes = [...claims.values()].map(({ sizeBytes }) => sizeBytes);
  return {
    mountsFor: (container) => mountsFor(pod, container, claims, folderOf, fsGroup, road),
    volumeBytes: targetBytes(pod, claims) ?? sizes[0],
    fileLimitFor(container) {
      const names = [...(container.volumeMounts ?? []), ...(container.volumeDevices ?? [])].map(({ name }) => name);
      const seen = names.flatMap((name) => claims.get(name)?.sizeBytes ?? []);
      return seen.length > 0 ? Math.max(...seen) : undefined;
    },
    async refresh() {
      for (const volume of pod.spec.volumes ?? []) await writeFiles(volume);
    },
    release,
  };
}

/** Open to the pod's users, whatever the umask. */
async function makeEmptyDir(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o777);
}

async function attachClaim(pod: Pod, volume: PodVolume, { volumes, claims }: VolumeSources): Promise<Attachment> {
  const name = volume.persistentVolumeClaim?.claimName ?? "";
  const claim = claims.get({ namespace: pod.metadata.namespace ?? "", name });
  if (!claim) throw new Error(`persistentvolumeclaim "${name}" not found`);
  return volumes.attach({ ...claim, apiVersion: kinds.claim.apiVersion, kind: kinds.claim.kind });
}

function targetBytes(pod: Pod, claims: ReadonlyMap<string, Attachment>): number | undefined {
  for (const { volumeMounts = [], volumeDevices = [] } of pod.spec.containers) {
    const mount = volumeMounts.find(({ mountPath }) => mountPath === podPaths.data);
    const device = volumeDevices.find(({ devicePath }) => devicePath === podPaths.blockDevice);
    const name = mount?.name ?? device?.name;
    if (name !== undefined) return claims.get(name)?.sizeBytes;
  }
  return undefined;
}

function mountsFor(
  pod: Pod,
  container: Container,
  claims: ReadonlyMap<string, Attachment>,
  folderOf: (volume: PodVolume) => string,
  fsGroup: number | undefined,
  road: Road,
): Mount[] {
  const volumeNamed = (name: string): PodVolume => {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    if (!volume) throw new Error(`the pod has no volume "${name}"`);
    return volume;
  };
  const mounts = (container.volumeMounts ?? []).map(({ name, mountPath, readOnly = false, subPath }): Mount => {
    if (subPath) throw new Error(`mount ${mountPath}: this node does not offer subPath`);
    const volume = volumeNamed(name);
    const at = insideRoot(mountPath);
    const access = claims.get(name)?.access;
    const isReadOnly = readOnly || volume.persistentVolumeClaim?.readOnly === true;
    if (access?.by === "device") {
      return { by: "filesystem", device: access.path, at, readOnly: isReadOnly, group: fsGroup };
    }
    if (access) return { by: "bind", source: access.path, at, readOnly: isReadOnly, group: fsGroup };
    const isFiles = !volume.emptyDir;
    return {
      by: "bind",
      source: folderOf(volume),
      at,
      readOnly: readOnly || isFiles,
      group: isFiles ? undefined : fsGroup,
    };
  });
  const devices = (container.volumeDevices ?? []).map(({ name, devicePath: path }): Mount => {
    const devicePath = insideRoot(path);
    const access = claims.get(volumeNamed(name).name)?.access;
    if (!access) throw new Error(`device ${devicePath}: volume "${name}" is not a claim`);
    if (access.by === "device") {
      return { by: "node", major: access.major, minor: access.minor, at: devicePath, readOnly: false };
    }
    if (road === "device") throw new Error(`device ${devicePath}: the volume of "${name}" is a folder`);
    return { by: "bind", source: access.path, at: devicePath, readOnly: false };
  });
  return [...mounts, ...devices];
}

/** As container runtimes read a path of a pod: from the container's root, and never out of it. */
export const insideRoot = (path: string): string => posix.join("/", path).replace(/\/+$/, "");
