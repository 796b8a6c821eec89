// From an image's name to the manifest of the one image meant: through indexes by platform, each document checked by its digest.
import { createHash } from "node:crypto";
import { Fault, faultOf } from "../../../src/lib/faults.ts";
import type { Log } from "../../../src/lib/log.ts";
import {
  checkDigest,
  longestConfig,
  readConfig,
  readManifest,
  type ImageConfig,
  type ImageManifest,
} from "./manifest.ts";
import { checkArchitecture, chooseFromIndex } from "./platform.ts";
import { readSmall, type ImageStore, type RawManifest } from "./store.ts";

export interface ImageWanted {
  readonly store: ImageStore;
  /** Go's name; absent: the machine's own from an index, and a single image unchecked. */
  readonly architecture?: string | undefined;
  /** Go's name of this machine's. */
  readonly ownArchitecture: string;
}

export interface ResolvedImage {
  readonly manifest: ImageManifest;
  /** Of that manifest. */
  readonly digest: string;
  /** Of what the name leads to: the same, or an index's. */
  readonly nameDigest: string;
  /** Absent for an artifact, which has none. */
  readonly config?: { readonly bytes: Buffer; readonly read: ImageConfig };
}

/** An index within an index within an index is nobody's. */
const deepestIndex = 3;

/** @throws Fault PlatformMissing, ImageCorrupt, ImageRefused, DigestMismatch, and the store's own with upstream's words in front */
export async function resolveImage(wanted: ImageWanted, signal: AbortSignal, log: Log): Promise<ResolvedImage> {
  const { store, architecture, ownArchitecture } = wanted;
  log.info("Asking for the image's manifest", {});
  let raw: RawManifest;
  try {
    raw = await store.first(signal);
  } catch (cause) {
    throw saying("failed to pull image", cause);
  }
  if (store.digest !== undefined) checkDigest(raw.bytes, store.digest, "the image manifest");
  const nameDigest = digestOf(raw.bytes);
  let manifest = readManifest(raw.bytes, raw.mediaType);
  let digest = nameDigest;
  for (let depth = 0; manifest.kind === "index"; depth += 1) {
    if (depth === deepestIndex) throw new Fault("ImageRefused", "the image index leads to further indexes only");
    const chosen = chooseFromIndex(manifest, architecture ?? ownArchitecture);
    const next = await store.manifest(chosen, signal).catch((cause: unknown) => {
      throw saying("Error retrieving image", cause);
    });
    checkDigest(next.bytes, chosen.digest, "the image manifest");
    manifest = readManifest(next.bytes, next.mediaType);
    ({ digest } = chosen);
  }
  const config = manifest.isArtifact ? undefined : await readImageConfig(store, manifest, signal);
  if (architecture !== undefined) checkArchitecture(config?.read ?? noConfig, architecture);
  return { manifest, digest, nameDigest, ...(config ? { config } : {}) };
}

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function readImageConfig(store: ImageStore, { config }: ImageManifest, signal: AbortSignal) {
  try {
    const body = await store.blob(config, 0, signal);
    const bytes = await readSmall(body, longestConfig, "the image configuration");
    checkDigest(bytes, config.digest, "the image configuration");
    return { bytes, read: readConfig(bytes) };
  } catch (cause) {
    throw saying("Error retrieving image", cause);
  }
}

const noConfig: ImageConfig = { architecture: "", env: [], labels: {} };

/** The same fault with upstream's words in front. An abort stays what it is. */
function saying(words: string, cause: unknown): unknown {
  if (!(cause instanceof Fault)) return cause;
  const { code, message } = faultOf(cause);
  return new Fault(code, `${words}: ${message}`, { cause });
}
