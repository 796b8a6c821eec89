// The disk of a container image as a source: manifest, configuration and layers are resolved once, the layer goes through as it
// comes, and its digest is checked before the last byte is given out as read.
import type { Readable } from "node:stream";
import type { Source, SourceFacts } from "../../../src/datapath/index.ts";
import { Fault } from "../../../src/lib/faults.ts";
import type { Log } from "../../../src/lib/log.ts";
import { findDisk, type FoundDisk } from "./disk-entry.ts";
import { labelsFromEnv, refuseBootable } from "./labels.ts";
import type { ImageManifest } from "./manifest.ts";
import { resolveImage, type ImageWanted } from "./resolve-image.ts";

export interface ImageSourceSettings extends ImageWanted {
  readonly log: Log;
}

export interface ImageSource extends Source {
  /** From the image's environment, for the claim; empty before the facts are known. */
  labels(): Readonly<Record<string, string>>;
}

export const imageSource = (settings: ImageSourceSettings): ImageSource => new LayeredSource(settings);

class LayeredSource implements ImageSource {
  readonly name: string;
  readonly #settings: ImageSourceSettings;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #live = new Set<Readable>();
  #manifest: Promise<ImageManifest> | undefined;
  #labels: Readonly<Record<string, string>> = {};
  #disk: FoundDisk | undefined;
  /** Found and not yet opened. */
  #waiting: FoundDisk | undefined;

  constructor(settings: ImageSourceSettings) {
    this.#settings = settings;
    this.name = settings.store.name;
    this.#log = settings.log.with({ source: this.name });
  }

  /** The disk's, once it is found. */
  get path(): string {
    return this.#disk?.name ?? "";
  }

  labels(): Readonly<Record<string, string>> {
    return this.#labels;
  }

  async facts(signal: AbortSignal): Promise<SourceFacts> {
    signal.throwIfAborted();
    const disk = (this.#disk ??= this.#waiting = await this.#find(signal));
    const { storedAt, sizeBytes, layer } = disk;
    const ranges = storedAt !== undefined && this.#settings.store.ranges;
    return { sizeBytes, ranges, validator: `"${layer.digest}"`, readsWhole: true };
  }

  async open(offset: number, signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted();
    await this.facts(signal);
    const disk = this.#waiting ?? (await this.#find(signal));
    this.#waiting = undefined;
    const body = disk.open(signal);
    this.#live.add(body);
    body.once("close", () => this.#live.delete(body));
    return offset === 0 ? body : await passed(body, offset, disk.name);
  }

  async read(offset: number, into: Buffer, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { storedAt, layer } = this.#disk ?? {};
    const { store } = this.#settings;
    if (storedAt === undefined || !layer || !store.readBlob) throw new Error("the disk cannot be read by range");
    if (into.length > 0) await store.readBlob(layer, storedAt + offset, into, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("the source was closed"));
    await this.#waiting?.close();
    await Promise.all(
      [...this.#live].map(
        (body) =>
          new Promise((done) =>
            body
              .on("error", () => undefined)
              .once("close", done)
              .destroy(),
          ),
      ),
    );
    await this.#settings.store.close();
  }

  async #find(signal: AbortSignal): Promise<FoundDisk> {
    const own = new AbortController();
    const onAbort = (): void => own.abort(signal.aborted ? signal.reason : this.#closing.signal.reason);
    for (const one of [signal, this.#closing.signal]) one.addEventListener("abort", onAbort);
    try {
      this.#manifest ??= this.#resolve(own.signal).catch((cause: unknown) => {
        this.#manifest = undefined;
        throw cause;
      });
      return await findDisk(this.#settings.store, await this.#manifest, own.signal, this.#log);
    } catch (cause) {
      throw signal.aborted ? signal.reason : cause;
    } finally {
      for (const one of [signal, this.#closing.signal]) one.removeEventListener("abort", onAbort);
    }
  }

  async #resolve(signal: AbortSignal): Promise<ImageManifest> {
    const { manifest, config } = await resolveImage(this.#settings, signal, this.#log);
    if (config) {
      refuseBootable(config.read);
      this.#labels = labelsFromEnv(config.read.env);
    }
    return manifest;
  }
}

/** The stream without its first bytes. */
async function passed(body: Readable, offset: number, name: string): Promise<Readable> {
  const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  let left = offset;
  let first: Buffer | undefined;
  while (left > 0) {
    const { value } = await iterator.next();
    if (value === undefined) throw new Fault("SourceChanged", `${name} is shorter than ${offset} bytes`);
    if (value.length > left) first = value.subarray(left);
    left -= Math.min(left, value.length);
  }
  if (first) body.unshift(first);
  return body;
}
