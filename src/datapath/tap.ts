// What every import does with the bytes as the source sends them: count, hash, and see that all of them came.
import { pipeline, Transform, type Readable } from "node:stream";
import { Fault } from "../lib/faults.ts";
import { pulledStream } from "./pulled.ts";
import type { Progress, Source } from "./types.ts";

export interface Hashing {
  update(bytes: Buffer): unknown;
  digest(form: "hex"): string;
}

/**
 * Counts and hashes the bytes as they come from the source. An early end is an error right here, so that no decoder takes a
 * cut connection for a damaged file.
 * @param from offset of the source that the input begins at
 */
export function tap(
  input: Readable,
  { source, progress }: { readonly source: Source; readonly progress: Progress },
  sizeBytes: number | undefined,
  hash?: Hashing,
  from = 0,
): Readable {
  let gotBytes = from;
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

/** The stream without its first bytes. */
export function withoutFirst(input: Readable, count: number): Readable {
  return count === 0 ? input : pulledStream(behind(input, count), { behind: input });
}

async function* behind(input: Readable, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    const dropped = Math.min(left, chunk.length);
    left -= dropped;
    if (dropped < chunk.length) yield chunk.subarray(dropped);
  }
}

/** Passes over the rest. */
export async function readToEnd(stream: Readable): Promise<void> {
  const iterator = stream[Symbol.asyncIterator]();
  while (!(await iterator.next()).done);
}
