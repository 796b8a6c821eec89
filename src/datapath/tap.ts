// What every import does with the bytes as the source sends them: count, hash, and see that all of them came.
import type { Readable } from "node:stream";
import { alsoRead, giveBack } from "../lib/buffers.ts";
import { Fault } from "../lib/faults.ts";
import { pulledStream } from "./pulled.ts";
import type { Progress, Source } from "./types.ts";

export interface Hashing {
  /** A promise where it goes on by itself: until then the bytes must stay, and the next ones wait. */
  update(bytes: Buffer): unknown;
  digest(form: "hex"): string;
}

interface TapJob {
  readonly source: Source;
  readonly progress: Progress;
}

/**
 * Counts and hashes the bytes as they come from the source. An early end is an error right here, so that no decoder takes a
 * cut connection for a damaged file.
 * @param from offset of the source that the input begins at
 */
export function tap(input: Readable, job: TapJob, sizeBytes: number | undefined, hash?: Hashing, from = 0): Readable {
  return pulledStream(tapped(input, job, sizeBytes, hash, from), { behind: input });
}

async function* tapped(
  input: Readable,
  { source, progress }: TapJob,
  sizeBytes: number | undefined,
  hash: Hashing | undefined,
  from: number,
): AsyncGenerator<Buffer> {
  let gotBytes = from;
  /** Of the chunk before: it goes on while its reader is at work. */
  let hashing: Promise<unknown> | undefined;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    gotBytes += chunk.length;
    progress.bytesRead += chunk.length;
    await hashing;
    hashing = hash && heldWhile(chunk, hash);
    yield chunk;
  }
  await hashing;
  const fault = lengthFault(source.name, gotBytes, sizeBytes);
  if (fault) throw fault;
}

/** The chunk's memory does not go round before it is hashed. */
function heldWhile(chunk: Buffer, hash: Hashing): Promise<unknown> | undefined {
  const done = hash.update(chunk);
  if (!(done instanceof Promise)) return undefined;
  alsoRead(chunk);
  const hashing = done.finally(() => giveBack(chunk));
  // Heard of when the next chunk is due; nobody may wait for one any more.
  hashing.catch(() => undefined);
  return hashing;
}

function lengthFault(name: string, gotBytes: number, sizeBytes: number | undefined): Fault | undefined {
  if (sizeBytes === undefined || gotBytes === sizeBytes) return undefined;
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
