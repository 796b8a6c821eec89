// Ends a stream from outside, and waits until what stands behind it (a tool, the stream it reads) has ended too.
import type { Readable } from "node:stream";

/** Resolves when the stream is closed. Never rejects: what it failed with was for whoever reads it. */
export function destroyWhole(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    stream.on("error", () => undefined).once("close", resolve);
    stream.destroy();
  });
}
