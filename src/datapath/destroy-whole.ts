// Ends a stream from outside, and waits until what stands behind it (a tool, the stream it reads) has ended too.
import { finished, type Readable } from "node:stream";

/** Resolves when the stream is closed, whatever it failed with: that is told to whoever reads it. Never rejects. */
export function destroyWhole(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    // `finished` may call before the close, when an error comes first.
    stream.once("close", resolve);
    const unwatch = finished(stream, { writable: false }, () => unwatch());
    stream.destroy();
  });
}
