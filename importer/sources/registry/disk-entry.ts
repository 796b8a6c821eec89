// Looks through an image's layers for the one disk (interfaces/registry.md section 3): base first, the first match ends, names by
// upstream's rule. What is found is handed over as a stream that ends only when its layer was read to the end and is whole.
import type { Readable } from "node:stream";
import { cannotLocate, noDiskBecause } from "../../../src/contract/image-texts.ts";
import type { TarEntry } from "../../../src/datapath/index.ts";
import { Fault, faultOf } from "../../../src/lib/faults.ts";
import type { Log } from "../../../src/lib/log.ts";
import { artifactLayer, titleOf } from "./artifact.ts";
import { blobBytes, isPassing } from "./blob.ts";
import { blobStream, openLayer, type LayerWalk } from "./layer-walk.ts";
import { madeStream } from "./made-stream.ts";
import type { Descriptor, ImageManifest } from "./manifest.ts";
import type { ImageStore } from "./store.ts";

/** The disk within the image. */
export interface FoundDisk {
  readonly layer: Descriptor;
  /** Its path in the layer, or the title of a plain file. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Where its bytes lie in the blob, when they lie there as they are. */
  readonly storedAt?: number;
  /** Its bytes, once; an error at the end where the layer is not what its digest says. */
  open(signal: AbortSignal): Readable;
  /** Where it is not opened. Never rejects. */
  close(): Promise<void>;
}

/** Named in this text word for word by upstream's tests. */
const noDisk = "Failed to find VM disk image file in the container image";

/**
 * @param signal ends what is open, also after the disk was found
 * @throws Fault NoDiskInImage, ImageRefused, DigestMismatch, and the store's own
 */
export async function findDisk(
  store: ImageStore,
  manifest: ImageManifest,
  signal: AbortSignal,
  log: Log,
): Promise<FoundDisk> {
  const plain = manifest.isArtifact ? artifactLayer(manifest) : undefined;
  if (plain) return await plainFile(store, plain, signal, log);
  let skipped: Fault | undefined;
  for (const layer of manifest.layers) {
    try {
      const found = await findInLayer(store, layer, signal, log);
      if (found) return found;
    } catch (cause) {
      skipped ??= await skip(store, layer, faultOf(cause), signal, log);
    }
  }
  if (!skipped) throw new Fault("NoDiskInImage", noDisk);
  // A layer that was refused may be the one with the disk.
  const code = skipped.row.retry === "some" ? skipped.code : "NoDiskInImage";
  throw new Fault(code, `${noDisk}; a layer could not be read: ${skipped.message}`, { cause: skipped });
}

const structural: readonly string[] = ["ArchiveInvalid", "ImageCorrupt", "ImageTooShort"];

/** @throws the fault itself, or the digest's, where the layer may not be passed over */
async function skip(store: ImageStore, layer: Descriptor, fault: Fault, signal: AbortSignal, log: Log): Promise<Fault> {
  if (signal.aborted) throw signal.reason;
  const isBad = structural.includes(fault.code);
  if (isPassing(fault) || !(isBad || fault.row.retry === "some")) throw fault;
  // Bad bytes may have become so on the way: only if the digest says otherwise is it the image that is bad.
  if (isBad) for await (const _ of blobBytes(store, layer, signal, log));
  const { digest, mediaType } = layer;
  log.warn("Skipping a layer that cannot be read", { layer: digest, mediaType, error: fault });
  return fault;
}

async function findInLayer(
  store: ImageStore,
  layer: Descriptor,
  signal: AbortSignal,
  log: Log,
): Promise<FoundDisk | undefined> {
  log.debug("Looking for the disk in a layer", { layer: layer.digest, sizeBytes: layer.sizeBytes });
  const walk = await openLayer(store, layer, signal, log);
  let found: FoundDisk | undefined;
  try {
    for (let next = await walk.entries.next(); !next.done && !found; next = found ? next : await walk.entries.next()) {
      if (isMatch(next.value)) found = foundIn(walk, layer, next.value);
    }
    if (!found) await walk.readToEnd();
    return found;
  } finally {
    if (!found) await walk.close();
  }
}

/** A prefix of the whole name: "diskette/x" matches too. A base name of ".wh." marks what an upper layer takes away. */
function isMatch({ name, type }: TarEntry): boolean {
  const base = name.slice(name.lastIndexOf("/") + 1);
  return /^(\.\/)?disk/.test(name) && !base.startsWith(".wh.") && type !== "directory";
}

function foundIn(walk: LayerWalk, layer: Descriptor, entry: TarEntry): FoundDisk {
  refuseUnlessDisk(entry);
  const { name, sizeBytes, storedAt, extents } = entry;
  async function* bytes(): AsyncGenerator<Buffer> {
    yield* entry.body();
    await walk.readToEnd();
  }
  return {
    layer,
    name,
    sizeBytes,
    ...(walk.isPlain && !extents ? { storedAt } : {}),
    open: (signal) => madeStream({ bytes: bytes(), release: () => walk.close() }, signal),
    close: () => walk.close(),
  };
}

async function plainFile(store: ImageStore, layer: Descriptor, signal: AbortSignal, log: Log): Promise<FoundDisk> {
  // Tells whether it can be read by range.
  (await store.blob(layer, 0, signal)).destroy();
  return {
    layer,
    name: titleOf(layer),
    sizeBytes: layer.sizeBytes,
    storedAt: 0,
    open: (reader) => blobStream(store, layer, reader, log),
    close: () => Promise.resolve(),
  };
}

/** What upstream finds out after it has unpacked. @throws Fault NoDiskInImage, ImageRefused */
function refuseUnlessDisk({ name, type }: TarEntry): void {
  const short = name.slice(0, 200);
  const refuse = (why: string): Fault =>
    new Fault("NoDiskInImage", `${cannotLocate}: ${why} (${JSON.stringify(short)})`);
  if (name.split("/").includes("..")) {
    throw new Fault("ImageRefused", `Error sanitizing archive path: content filepath is tainted: ${short}`);
  }
  const [folder, file, ...deeper] = name.split("/").filter((part) => part !== "" && part !== ".");
  if (folder !== "disk" || file === undefined) throw refuse(noDiskBecause.folderMissing);
  if (deeper.length > 0) throw refuse(noDiskBecause.folderInside);
  if (file.trim() === "") throw refuse(noDiskBecause.nameBlank);
  if (type !== "file") throw refuse(`the image file is a ${type}`);
}
