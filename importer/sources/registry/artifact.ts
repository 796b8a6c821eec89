// OCI artifacts: a disk that is a layer by itself, without an archive around it, as `oras push` makes them. Pure.
import { Fault } from "../../../src/lib/faults.ts";
import type { Descriptor, ImageManifest } from "./manifest.ts";

const title = "org.opencontainers.image.title";
/** Set by oras where it packed a folder. */
const packed = "io.deis.oras.content.unpack";
const looksLikeDisk = /\.(qcow2|img|raw|iso|vmdk|vdi|vhdx?|qed)(\.(gz|xz|zst))*$/i;

/** A name for messages and for what its extension says. */
export const titleOf = ({ annotations, digest }: Descriptor): string => annotations[title] ?? digest;

/** @returns undefined where the layers are archives after all. @throws Fault NoDiskInImage where it is not clear which */
export function artifactLayer({ layers }: ImageManifest): Descriptor | undefined {
  const files = layers.filter(isFile);
  if (files.length <= 1) return files[0];
  const disks = files.filter((layer) => looksLikeDisk.test(titleOf(layer)));
  if (disks.length === 1) return disks[0];
  const names = files.map(titleOf).slice(0, 20).join(", ");
  throw new Fault(
    "NoDiskInImage",
    `${files.length} files in the artifact, and not exactly one is a disk by its name: ${names}`,
  );
}

/** oras gives plain files the media type of an archive: a title tells them apart. */
const isFile = ({ mediaType, annotations }: Descriptor): boolean =>
  annotations[packed] !== "true" && (annotations[title] !== undefined || !/\.tar(\+\w+)?$|diff\.tar/.test(mediaType));
