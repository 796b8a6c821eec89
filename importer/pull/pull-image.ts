// Pulls one image: its manifest by name and platform, its layers into a folder. What comes is checked against its digests before
// it counts as there.
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { arch } from "node:process";
import type { PullAnswer, PulledImage, PullRequest } from "../../src/contract/image-pull.ts";
import { Fault, faultOf } from "../../src/lib/faults.ts";
import type { ProxySettings } from "../../src/lib/http.ts";
import type { Log } from "../../src/lib/log.ts";
import { credentialsFrom, type Credentials } from "../sources/registry/credentials.ts";
import { openLayer } from "../sources/registry/layer-walk.ts";
import { goArchitecture } from "../sources/registry/platform.ts";
import { parseImageReference, type ImageReference } from "../sources/registry/reference.ts";
import { registryStore } from "../sources/registry/registry-store.ts";
import { resolveImage } from "../sources/registry/resolve-image.ts";
import { ImageRoot } from "./image-root.ts";
import { readRunConfig } from "./run-config.ts";

export interface PullSurroundings {
  readonly proxy: ProxySettings;
  readonly log: Log;
  readonly signal: AbortSignal;
}

type RegistryReference = Extract<ImageReference, { transport: "docker" }>;

/** Left free on the disk the images are on, bytes. */
const spareBytes = 256 * 1024 * 1024;

/** The name within the request's folder of the image's root. */
export const rootName = "root";

/** A failure is an answer too. @throws the signal's reason, and mistakes of ours */
export async function pullImage(request: PullRequest, around: PullSurroundings): Promise<PullAnswer> {
  let reference: RegistryReference;
  try {
    reference = referenceOf(request.image);
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    return { failed: { kind: "name", message: cause.message } };
  }
  try {
    return { pulled: await pull(reference, request, around) };
  } catch (cause) {
    around.signal.throwIfAborted();
    return { failed: { kind: "pull", message: faultOf(cause).message } };
  }
}

/** As a pod names an image: never with a transport, and a tag beside a digest is for readers only. */
function referenceOf(image: string): RegistryReference {
  const reference = parseImageReference(`docker://${image.replace(/:[\w.-]+(?=@)/, "")}`);
  if (reference.transport !== "docker") throw new Fault("ConfigInvalid", "invalid reference format");
  return reference;
}

async function pull(
  reference: RegistryReference,
  request: PullRequest,
  { proxy, log, signal }: PullSurroundings,
): Promise<PulledImage> {
  const { folder, architecture, insecureRegistries, auths, have } = request;
  const { host, repository } = reference;
  const insecure = insecureRegistries.includes(host) || isLoopback(host);
  const store = registryStore(reference, credentialsIn(auths, host, repository), { ca: [], insecure, proxy }, log);
  try {
    const wanted = { store, architecture, ownArchitecture: goArchitecture(arch) };
    const { manifest, digest, nameDigest, config } = await resolveImage(wanted, signal, log);
    if (!config) throw new Fault("FormatUnsupported", "it is an artifact, not the image of a container");
    const facts = { digest, id: `${host}/${repository}@${nameDigest}`, config: readRunConfig(config.bytes) };
    if (have.includes(digest)) return { ...facts, sizeBytes: 0 };
    const rootFolder = join(folder, rootName);
    await mkdir(rootFolder);
    const { bavail, bsize } = await statfs(folder);
    const root = new ImageRoot({
      folder: rootFolder,
      limitBytes: Math.max(0, bavail * bsize - spareBytes),
      owners: process.getuid?.() === 0,
      signal,
      log,
    });
    try {
      for (const layer of manifest.layers) {
        const walk = await openLayer(store, layer, signal, log);
        try {
          for await (const entry of walk.entries) await root.put(entry);
          await walk.readToEnd();
        } finally {
          await walk.close();
        }
      }
      root.finish();
      return { ...facts, sizeBytes: root.sizeBytes };
    } finally {
      root.close();
    }
  } finally {
    await store.close();
  }
}

/** As container runtimes do: who speaks for this machine's own address is this machine. */
const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host);

function credentialsIn(auths: readonly string[], host: string, repository: string): Credentials | undefined {
  for (const one of auths) {
    const found = credentialsFrom(one, host, repository);
    if (found) return found;
  }
  return undefined;
}
