// An image in a file of this machine: oci-archive (a tar of an OCI layout) or docker-archive (what `docker save` writes). The tar is
// walked once for the places of its parts; what it says is checked like a registry's answer.
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { walkTar } from "../../../src/datapath/index.ts";
import { Fault } from "../../../src/lib/faults.ts";
import { longestManifest, parseDigest, readManifest, type Descriptor } from "./manifest.ts";
import { dockerSaveManifest, sha256Of } from "./docker-save.ts";
import type { ImageReference } from "./reference.ts";
import type { ImageStore, RawManifest } from "./store.ts";

/** Where a part lies in the file. */
export interface Place {
  readonly at: number;
  readonly sizeBytes: number;
}
export type Places = ReadonlyMap<string, Place>;
type ArchiveReference = Exclude<ImageReference, { transport: "docker" }>;
const mostParts = 10_000;

export const archiveStore = (reference: ArchiveReference): ImageStore => new ArchiveStore(reference);

class ArchiveStore implements ImageStore {
  readonly name: string;
  readonly ranges = true;
  readonly #reference: ArchiveReference;
  #places: Promise<Places> | undefined;
  /** Of docker-archive: digests made up from the parts themselves. */
  #named: Places = new Map();

  constructor(reference: ArchiveReference) {
    const { transport, path, name } = reference;
    this.#reference = reference;
    this.name = `${transport}:${path}${name === undefined ? "" : `:${name}`}`;
  }

  async first(signal: AbortSignal): Promise<RawManifest> {
    const { transport, path, name } = this.#reference;
    const places = await (this.#places ??= placesIn(path, signal));
    if (transport === "docker-archive") {
      const { manifest, named } = await dockerSaveManifest({
        places,
        name,
        read: (part) => this.#small(places, part),
        digestOf: (place) => sha256Of(this.#stream(place, 0)),
      });
      this.#named = named;
      return { bytes: Buffer.from(JSON.stringify(manifest)), mediaType: manifest.mediaType };
    }
    const index = readManifest(await this.#small(places, "index.json"), "");
    if (index.kind !== "index") throw new Fault("ImageCorrupt", `${this.name} has no index of images`);
    const refName = "org.opencontainers.image.ref.name";
    const chosen = index.manifests.filter(({ annotations }) => name === undefined || annotations[refName] === name);
    const [one] = chosen;
    if (!one) throw new Fault("SourceNotFound", `no descriptor found for reference ${JSON.stringify(name ?? "")}`);
    if (chosen.length > 1) throw new Fault("SourceNotFound", "more than one image in oci, choose an image");
    return await this.manifest(one);
  }

  async manifest({ digest, mediaType }: Descriptor): Promise<RawManifest> {
    const places = await this.#known();
    return { bytes: await this.#small(places, partName(digest)), mediaType };
  }

  async blob({ digest }: Descriptor, offset: number): Promise<Readable> {
    return this.#stream(await this.#place(digest), offset);
  }

  async readBlob({ digest }: Descriptor, offset: number, into: Buffer): Promise<void> {
    const { at, sizeBytes } = await this.#place(digest);
    if (offset + into.length > sizeBytes) throw new Fault("ImageCorrupt", "a layer in the archive is too short");
    await fill(this.#reference.path, at + offset, into);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #stream({ at, sizeBytes }: Place, offset: number): Readable {
    if (offset >= sizeBytes) return Readable.from([]);
    const bounds = { start: at + offset, end: at + sizeBytes - 1 };
    return createReadStream(this.#reference.path, { ...bounds, highWaterMark: 1024 * 1024 });
  }

  #known(): Promise<Places> {
    if (!this.#places) throw new Error("the archive was not opened");
    return this.#places;
  }

  async #place(digest: string): Promise<Place> {
    const place = this.#named.get(digest) ?? (await this.#known()).get(partName(digest));
    if (!place) throw new Fault("SourceNotFound", `${this.name} has no blob ${digest}`);
    return place;
  }

  async #small(places: Places, part: string): Promise<Buffer> {
    const place = places.get(part);
    if (!place) throw new Fault("SourceNotFound", `${this.name} has no ${part}`);
    if (place.sizeBytes > longestManifest)
      throw new Fault("ImageRefused", `${part} is longer than ${longestManifest} bytes`);
    const bytes = Buffer.alloc(place.sizeBytes);
    await fill(this.#reference.path, place.at, bytes);
    return bytes;
  }
}

function partName(digest: string): string {
  const { algorithm, hex } = parseDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}

async function placesIn(path: string, signal: AbortSignal): Promise<Places> {
  const unreadable = (cause: unknown): Fault =>
    new Fault("SourceUnreadable", `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(cause);
  });
  if (!found.isFile()) throw new Fault("SourceUnreadable", `${path} is not a file`);
  const places = new Map<string, Place>();
  const links: [name: string, target: string][] = [];
  const input = createReadStream(path, { highWaterMark: 1024 * 1024, signal });
  for await (const { name, type, storedAt, sizeBytes, extents, linkname } of walkTar(input as AsyncIterable<Buffer>)) {
    const plain = plainName(name);
    if (type === "file" && !extents) places.set(plain, { at: storedAt, sizeBytes });
    // docker save links layers that two images share.
    if (type === "symlink" || type === "link")
      links.push([plain, type === "link" ? linkname : beside(plain, linkname)]);
    if (places.size + links.length > mostParts)
      throw new Fault("ImageRefused", `${path} has more than ${mostParts} parts`);
  }
  for (const [name, target] of links) {
    const place = places.get(plainName(target));
    if (place && !places.has(name)) places.set(name, place);
  }
  return places;
}

const plainName = (name: string): string => {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
};
const beside = (name: string, target: string): string => `${name.slice(0, name.lastIndexOf("/") + 1)}${target}`;

async function fill(path: string, at: number, into: Buffer): Promise<void> {
  const handle = await open(path, "r");
  try {
    for (let got = 0; got < into.length;) {
      const { bytesRead } = await handle.read(into, got, into.length - got, at + got);
      if (bytesRead === 0) throw new Fault("SourceChanged", `${path} became shorter while it was read`);
      got += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
