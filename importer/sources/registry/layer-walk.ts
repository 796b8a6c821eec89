// One layer, open: its archive as entries, and the way down to the blob's last byte behind them.
import { peel, walkTar, type TarEntry } from "../../../src/datapath/index.ts";
import type { Log } from "../../../src/lib/log.ts";
import { blobBytes } from "./blob.ts";
import { madeStream } from "./made-stream.ts";
import type { Descriptor } from "./manifest.ts";
import type { ImageStore } from "./store.ts";

export interface LayerWalk {
  readonly entries: AsyncGenerator<TarEntry>;
  /** Nothing is compressed: places in the archive are places in the blob. */
  readonly isPlain: boolean;
  /** Behind the archive's end too, down to the blob's last byte. @throws Fault DigestMismatch */
  readToEnd(): Promise<void>;
  /** Never rejects; may be called twice. */
  close(): Promise<void>;
}

/** A blob as a stream; an error behind its last byte where it is not what its digest says. */
export function blobStream(store: ImageStore, layer: Descriptor, signal: AbortSignal, log: Log) {
  const own = new AbortController();
  const release = (): Promise<void> => Promise.resolve(own.abort(new Error("the rest of the layer is not wanted")));
  return madeStream({ bytes: blobBytes(store, layer, own.signal, log), release }, signal);
}

/** @throws Fault ImageTooShort, ImageCorrupt, and the store's own; nothing is open then */
export async function openLayer(
  store: ImageStore,
  layer: Descriptor,
  signal: AbortSignal,
  log: Log,
): Promise<LayerWalk> {
  const raw = blobStream(store, layer, signal, log);
  const { body, layers } = await peel(raw, signal, log);
  const rest = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  // Without `return`: the end of the archive is not the end of the layer.
  const bytes = { [Symbol.asyncIterator]: () => ({ next: () => rest.next() }) };
  return {
    entries: walkTar(bytes),
    isPlain: layers.length === 0,
    async readToEnd() {
      while (!(await rest.next()).done);
    },
    close: () =>
      new Promise((resolve) => {
        if (body.closed) return resolve();
        body.on("error", () => undefined).once("close", resolve);
        body.destroy();
      }),
  };
}
