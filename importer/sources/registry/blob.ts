// A blob from its first byte to its last: goes on by range where the connection broke, counted, and its digest checked when the
// last byte was read. What can be read to its end is what the manifest names.
import { newProgress, steadySource, type Source } from "../../../src/datapath/index.ts";
import { Fault } from "../../../src/lib/faults.ts";
import type { Log } from "../../../src/lib/log.ts";
import { digestCheck, type Descriptor } from "./manifest.ts";
import type { ImageStore } from "./store.ts";

/** @throws Fault DigestMismatch behind the last byte, and the store's own */
export async function* blobBytes(
  store: ImageStore,
  descriptor: Descriptor,
  signal: AbortSignal,
  log: Log,
): AsyncGenerator<Buffer> {
  const { digest, sizeBytes } = descriptor;
  const what = `layer ${digest}`;
  const check = digestCheck(digest, what);
  // Joined pieces are of the same blob: the digest at the end says so.
  const source = steadySource(blobSource(store, descriptor), { provesEnd: true, progress: newProgress(), log });
  let at = 0;
  for await (const chunk of (await source.open(0, signal)) as AsyncIterable<Buffer>) {
    at += chunk.length;
    if (at > sizeBytes) throw new Fault("DigestMismatch", `${what} is longer than the ${sizeBytes} bytes it has`);
    check.update(chunk);
    yield chunk;
  }
  check.verify();
}

const blobSource = (store: ImageStore, descriptor: Descriptor): Source => ({
  name: `layer ${descriptor.digest}`,
  path: "",
  facts: () => Promise.resolve({ sizeBytes: descriptor.sizeBytes, ranges: true, validator: `"${descriptor.digest}"` }),
  open: (offset, signal) => store.blob(descriptor, offset, signal),
  // The store goes on.
  close: () => Promise.resolve(),
});

/** Of the way there, not of what is there; an unclassified one is a mistake of ours or an abort. */
export const isPassing = ({ code, row }: Fault): boolean => row.retry === "always" && code !== "Unclassified";
