// What every import does with the bytes as the source sends them: count, hash, and see that all of them came.
import { pipeline, Transform, type Readable } from "node:stream";
import type { Hash } from "node:crypto";
import { Fault } from "../lib/faults.ts";
import type { Progress, Source } from "./types.ts";

/**
 * Counts and hashes the bytes as they come from the source. An early end is an error right here, so that no decoder takes a
 * cut connection for a damaged file.
 */
export function tap(
  input: Readable,
  { source, progress }: { readonly source: Source; readonly progress: Progress },
  sizeBytes: number | undefined,
  hash?: Hash,
): Readable {
  let gotBytes = 0;
  const counter = new Transform({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      gotBytes += chunk.length;
      progress.bytesRead += chunk.length;
      hash?.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      done(lengthFault(source.name, gotBytes, sizeBytes));
    },
  });
  // Its callback only marks an error as seen; the reader of `counter` is told.
  pipeline(input, counter, () => undefined);
  return counter;
}

function lengthFault(name: string, gotBytes: number, sizeBytes: number | undefined): Fault | null {
  if (sizeBytes === undefined || gotBytes === sizeBytes) return null;
  const where = `${name} ended at byte ${gotBytes} of ${sizeBytes}`;
  return new Fault(gotBytes < sizeBytes ? "SourceCut" : "SourceSizeUnknown", where);
}

/** Passes over the rest. */
export async function readToEnd(stream: Readable): Promise<void> {
  const iterator = stream[Symbol.asyncIterator]();
  while (!(await iterator.next()).done);
}
