// What every import does with the bytes as the source sends them: count, hash, and see that all of them came.
import type { Readable } from "node:stream";
import { alsoRead, giveBack } from "../lib/buffers.ts";
import { Fault } from "../lib/faults.ts";
import { pulledStream } from "./pulled.ts";
import type { Progress, Source } from "./types.ts";

export interface Hashing {
  /** A promise where it goes on by itself: until then the bytes must stay, and the next ones must not come. */
  update(bytes: Buffer): unknown;
  digest(form: "hex"): string;
}

/**
 * Chunks that may be waiting to be hashed while their reader is at work: hashing takes its turns with unpacking and writing, and
 * one that is late should not stop the others.
 */
const mostWaiting = 4;

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
  const hashings: Promise<unknown>[] = [];
  for await (const chunk of input as AsyncIterable<Buffer>) {
    gotBytes += chunk.length;
    progress.bytesRead += chunk.length;
    if (hashings.length === mostWaiting) await hashings.shift();
    if (hash) hashings.push(heldWhile(chunk, hash, hashings.at(-1)));
    yield chunk;
  }
  await Promise.all(hashings);
  const fault = lengthFault(source.name, gotBytes, sizeBytes);
  if (fault) throw fault;
}

/** Hashes it behind the one before. The chunk's memory does not go round until then. */
function heldWhile(chunk: Buffer, hash: Hashing, before: Promise<unknown> | undefined): Promise<unknown> {
  alsoRead(chunk);
  const hashing = (async () => {
    await before;
    await hash.update(chunk);
  })().finally(() => giveBack(chunk));
  // Heard of when a later chunk is due; nobody may wait for one any more.
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
