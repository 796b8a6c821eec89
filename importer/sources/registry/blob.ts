// A blob from its first byte to its last: goes on by range where the connection broke, counted, and its digest checked when the
// last byte was read. What can be read to its end is what the manifest names.
import { setTimeout as pause } from "node:timers/promises";
import { backoffDelay } from "../../../src/lib/backoff.ts";
import { Fault, faultOf } from "../../../src/lib/faults.ts";
import type { Log } from "../../../src/lib/log.ts";
import { digestCheck, type Descriptor } from "./manifest.ts";
import type { ImageStore } from "./store.ts";

/** Failures in a row without new bytes; then the blob is given up. */
const mostFailures = 5;
const backoff = { baseMs: 100, capMs: 5000 };

/**
 * Joined pieces are of the same blob: the digest at the end says so.
 * @throws Fault DigestMismatch behind the last byte, and the store's own
 */
export async function* blobBytes(
  store: ImageStore,
  descriptor: Descriptor,
  signal: AbortSignal,
  log: Log,
): AsyncGenerator<Buffer> {
  const { digest, sizeBytes } = descriptor;
  const what = `layer ${digest}`;
  const check = digestCheck(digest, what);
  let at = 0;
  for (let failures = 0; at < sizeBytes;) {
    const from = at;
    try {
      const body = await store.blob(descriptor, at, signal);
      for await (const chunk of body as AsyncIterable<Buffer>) {
        at += chunk.length;
        if (at > sizeBytes) throw new Fault("DigestMismatch", `${what} is longer than the ${sizeBytes} bytes it has`);
        check.update(chunk);
        yield chunk;
      }
      if (at < sizeBytes) throw new Fault("SourceCut", `${what} ended at byte ${at} of ${sizeBytes}`);
    } catch (cause) {
      const fault = faultOf(cause);
      failures = at > from ? 1 : failures + 1;
      if (signal.aborted || !isPassing(fault) || failures > mostFailures) throw cause;
      log.warn("Going on with a layer where it broke off", { layer: digest, resumesFrom: at, error: fault });
      await pause(backoffDelay(failures, backoff), undefined, { signal });
    }
  }
  check.verify();
}

/** Of the way there, not of what is there; an unclassified one is a mistake of ours or an abort. */
export const isPassing = ({ code, row }: Fault): boolean => row.retry === "always" && code !== "Unclassified";
