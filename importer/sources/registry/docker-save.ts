// What `docker save` writes: a manifest.json that names files, turned into the manifest of an image whose digests are those files' own.
import { createHash } from "node:crypto";
import { Fault } from "../../../src/lib/faults.ts";
import type { Place, Places } from "./archive-store.ts";

interface Saved {
  readonly Config?: unknown;
  readonly Layers?: unknown;
  readonly RepoTags?: unknown;
}

export interface SavedImage {
  readonly manifest: { schemaVersion: 2; mediaType: string; config: object; layers: object[] };
  /** By digest. */
  readonly named: Places;
}

/** @param name of one of several images, as in RepoTags */
export async function dockerSaveManifest(archive: {
  readonly places: Places;
  readonly name: string | undefined;
  /** All of a small part. */
  readonly read: (part: string) => Promise<Buffer>;
  /** The sha256 of a part, hex. */
  readonly digestOf: (place: Place) => Promise<string>;
}): Promise<SavedImage> {
  const { places, name, read, digestOf } = archive;
  const images = imagesIn(await read("manifest.json"));
  const asked = name === undefined ? undefined : shortName(name.includes(":") ? name : `${name}:latest`);
  const wanted = images.filter(
    ({ RepoTags: tags }) =>
      asked === undefined || (Array.isArray(tags) && tags.some((tag) => shortName(tag) === asked)),
  );
  const [image] = wanted;
  if (!image) throw new Fault("SourceNotFound", `no image ${JSON.stringify(name ?? "")} in the archive`);
  if (wanted.length > 1) throw new Fault("SourceNotFound", "more than one image in the archive, choose an image");
  const { Config: config, Layers: layers } = image;
  if (typeof config !== "string" || !Array.isArray(layers))
    throw new Fault("ImageCorrupt", "manifest.json names no parts");
  const named = new Map<string, Place>();
  const descriptor = async (mediaType: string, part: unknown): Promise<object> => {
    const place = typeof part === "string" ? places.get(part) : undefined;
    if (!place) throw new Fault("SourceNotFound", `the archive has no ${JSON.stringify(part)}`);
    const digest = `sha256:${await digestOf(place)}`;
    named.set(digest, place);
    return { mediaType, digest, size: place.sizeBytes };
  };
  const described: object[] = [];
  for (const layer of layers) described.push(await descriptor("application/vnd.docker.image.rootfs.diff.tar", layer));
  return {
    manifest: {
      schemaVersion: 2,
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
      config: await descriptor("application/vnd.docker.container.image.v1+json", config),
      layers: described,
    },
    named,
  };
}

/** Docker writes names without its own host, others with it. */
const shortName = (tag: unknown): string => String(tag).replace(/^docker\.io\/(library\/)?/, "");

function imagesIn(bytes: Buffer): readonly Saved[] {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    if (Array.isArray(value)) return value.filter((one): one is Saved => typeof one === "object" && one !== null);
  } catch (cause) {
    throw new Fault("ImageCorrupt", "manifest.json is not JSON", { cause });
  }
  throw new Fault("ImageCorrupt", "manifest.json is no list of images");
}

/** The sha256 of a stream, hex. */
export async function sha256Of(bytes: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of bytes) hash.update(chunk);
  return hash.digest("hex");
}
