// Manifests, indexes and image configurations: JSON of strangers, read with bounds and taken apart into what an import needs.
import { createHash, type Hash } from "node:crypto";
import { Fault } from "../../../src/lib/faults.ts";

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly platform?: Platform;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ImageManifest {
  readonly kind: "image";
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  /** No container image: its layers may be plain files. */
  readonly isArtifact: boolean;
}
export interface ImageIndex {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
}

export interface ImageConfig {
  readonly architecture: string;
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;
const configTypes = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/** Registries take no larger ones, bytes. */
export const longestManifest = 4 * 1024 * 1024;
export const longestConfig = 8 * 1024 * 1024;
const mostLayers = 1024;

const damaged = (what: string): Fault => new Fault("ImageCorrupt", `the image manifest is damaged: ${what}`);

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

function parse(bytes: Buffer, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new Fault("ImageCorrupt", `the image ${what} is not JSON`, { cause });
  }
  if (!isFields(value)) throw new Fault("ImageCorrupt", `the image ${what} is not a JSON object`);
  return value;
}

/** @param contentType told by the server; "" where there is none @throws Fault ImageCorrupt, FormatUnsupported */
export function readManifest(bytes: Buffer, contentType: string): ImageManifest | ImageIndex {
  const fields = parse(bytes, "manifest");
  const type = textOf(fields["mediaType"]) || (contentType.split(";")[0] ?? "").trim();
  if (fields["schemaVersion"] === 1 || type.includes("docker.distribution.manifest.v1")) {
    throw new Fault("FormatUnsupported", "the image manifest is of schema 1, which registries no longer keep");
  }
  const { manifests, layers, config } = fields;
  // One document that is both could be taken for one thing here and for another by whoever looked at it before.
  if (manifests !== undefined && (layers !== undefined || config !== undefined)) {
    throw damaged("it is an index and an image at once");
  }
  if (Array.isArray(manifests)) return { kind: "index", manifests: descriptors(manifests) };
  if (!Array.isArray(layers) || !isFields(config)) throw damaged(`it is neither an image nor an index (${type})`);
  const known = descriptorOf(config);
  return {
    kind: "image",
    config: known,
    layers: descriptors(layers),
    isArtifact: textOf(fields["artifactType"]) !== "" || !configTypes.includes(known.mediaType),
  };
}

function descriptors(values: readonly unknown[]): Descriptor[] {
  if (values.length > mostLayers) throw damaged(`it has more than ${mostLayers} parts`);
  return values.map(descriptorOf);
}

function descriptorOf(value: unknown): Descriptor {
  if (!isFields(value)) throw damaged("a descriptor is no object");
  const { digest, size, mediaType, platform, annotations } = value;
  parseDigest(textOf(digest));
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw damaged("a size is no number");
  return {
    mediaType: textOf(mediaType),
    digest: textOf(digest),
    sizeBytes: size,
    ...(isFields(platform)
      ? {
          platform: {
            architecture: textOf(platform["architecture"]),
            os: textOf(platform["os"]),
            variant: textOf(platform["variant"]),
          },
        }
      : {}),
    annotations: isFields(annotations) ? texts(annotations) : {},
  };
}

const texts = (fields: Fields): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).filter((row): row is [string, string] => typeof row[1] === "string"));

/** @throws Fault ImageCorrupt */
export function readConfig(bytes: Buffer): ImageConfig {
  const fields = parse(bytes, "configuration");
  const inner = isFields(fields["config"]) ? fields["config"] : {};
  const { Env: env, Labels: labels } = inner;
  return {
    architecture: textOf(fields["architecture"]),
    env: Array.isArray(env) ? env.filter((line): line is string => typeof line === "string") : [],
    labels: isFields(labels) ? texts(labels) : {},
  };
}

const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/** @throws Fault ImageCorrupt for an algorithm that is not known or a digest of another length */
export function parseDigest(digest: string): { algorithm: string; hex: string } {
  const [, algorithm = "", hex = ""] = /^([a-z0-9]+):([0-9a-f]+)$/.exec(digest) ?? [];
  if (hexLengths[algorithm] !== hex.length) throw damaged(`${JSON.stringify(digest.slice(0, 200))} is no digest`);
  return { algorithm, hex };
}

/** A digest being made, and what it must come to. */
export interface DigestCheck {
  update(bytes: Uint8Array): void;
  /** @throws Fault DigestMismatch */
  verify(): void;
}

export function digestCheck(digest: string, what: string): DigestCheck {
  const { algorithm, hex } = parseDigest(digest);
  const hash: Hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    verify() {
      const got = hash.digest("hex");
      if (got === hex) return;
      throw new Fault("DigestMismatch", `${what} has the digest ${algorithm}:${got} where ${digest} was expected`);
    },
  };
}

/** @throws Fault DigestMismatch */
export function checkDigest(bytes: Uint8Array, digest: string, what: string): void {
  const check = digestCheck(digest, what);
  check.update(bytes);
  check.verify();
}
