// Container images for tests: layers packed by tar-stream, in the media types of docker or OCI, one image or an index of several.
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";

export interface Part {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}
export interface BuiltImage {
  /** By digest: config and layers. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly manifest: Buffer;
  readonly mediaType: string;
  readonly digest: string;
  readonly layers: readonly Part[];
  readonly architecture: string;
}
export interface BuiltIndex {
  readonly images: readonly BuiltImage[];
  readonly manifest: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}
export type LayerForm = "gzip" | "zstd" | "plain";

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** A layer's archive. A name ending in a slash is a folder. */
export async function packLayer(files: Readonly<Record<string, Uint8Array | string>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, body] of Object.entries(files)) {
    if (name.endsWith("/")) archive.entry({ name, type: "directory" });
    else archive.entry({ name, mode: 0o644, uid: 107, gid: 107 }, Buffer.from(body as string));
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const forms: Readonly<Record<LayerForm, { suffix: string; wrap: (bytes: Buffer) => Buffer }>> = {
  gzip: { suffix: "+gzip", wrap: (bytes) => gzipSync(bytes, { level: 1 }) },
  zstd: { suffix: "+zstd", wrap: (bytes) => zstdCompressSync(bytes) },
  plain: { suffix: "", wrap: (bytes) => bytes },
};

export interface ImageParts {
  /** Archives, base first, or blobs with a media type of their own. */
  readonly layers: readonly (Buffer | { readonly blob: Buffer; readonly mediaType: string; readonly title?: string })[];
  /** Default gzip. */
  readonly form?: LayerForm;
  /** Default oci. */
  readonly kind?: "oci" | "docker";
  /** Default amd64. */
  readonly architecture?: string;
  readonly env?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** How it is run: Entrypoint, Cmd, User, WorkingDir. */
  readonly run?: object;
  /** An OCI artifact: no configuration of a container. */
  readonly artifactType?: string;
}

export function buildImage(parts: ImageParts): BuiltImage {
  const {
    layers,
    form = "gzip",
    kind = "oci",
    architecture = "amd64",
    env = [],
    labels = {},
    run = {},
    artifactType,
  } = parts;
  const blobs = new Map<string, Buffer>();
  const keep = (bytes: Buffer, mediaType: string, title?: string): Part => {
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    const annotations = title === undefined ? {} : { annotations: { "org.opencontainers.image.title": title } };
    return { mediaType, digest, size: bytes.length, ...annotations };
  };
  const layerType =
    kind === "docker"
      ? `application/vnd.docker.image.rootfs.diff.tar${form === "gzip" ? ".gzip" : ""}`
      : `application/vnd.oci.image.layer.v1.tar${forms[form].suffix}`;
  const kept = layers.map((layer) =>
    Buffer.isBuffer(layer) ? keep(forms[form].wrap(layer), layerType) : keep(layer.blob, layer.mediaType, layer.title),
  );
  const config = artifactType
    ? keep(Buffer.from("{}"), "application/vnd.oci.empty.v1+json")
    : keep(
        Buffer.from(
          JSON.stringify({
            architecture,
            os: "linux",
            config: { Env: env, Labels: labels, ...run },
            rootfs: { type: "layers", diff_ids: [] },
          }),
        ),
        kind === "docker"
          ? "application/vnd.docker.container.image.v1+json"
          : "application/vnd.oci.image.config.v1+json",
      );
  const mediaType =
    kind === "docker"
      ? "application/vnd.docker.distribution.manifest.v2+json"
      : "application/vnd.oci.image.manifest.v1+json";
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      ...(artifactType ? { artifactType } : {}),
      config,
      layers: kept,
    }),
  );
  return { blobs, manifest, mediaType, digest: sha256(manifest), layers: kept, architecture };
}

/** The usual shape: one archive with the disk in /disk. */
export const diskImage = async (disk: Buffer, parts: Omit<ImageParts, "layers"> = {}, name = "disk/disk.img") =>
  buildImage({ ...parts, layers: [await packLayer({ "disk/": "", [name]: disk })] });

export function buildIndex(images: readonly BuiltImage[], kind: "oci" | "docker" = "oci"): BuiltIndex {
  const mediaType =
    kind === "docker"
      ? "application/vnd.docker.distribution.manifest.list.v2+json"
      : "application/vnd.oci.image.index.v1+json";
  const manifests = images.map((image) => ({
    mediaType: image.mediaType,
    digest: image.digest,
    size: image.manifest.length,
    platform: { architecture: image.architecture, os: "linux" },
  }));
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  return { images, manifest, mediaType, digest: sha256(manifest) };
}
