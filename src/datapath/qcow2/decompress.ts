// One compressed cluster: raw deflate with a window of 4 KiB, or zstd frames. What follows them in their last sector is junk.
import { constants, createInflateRaw, inflateRawSync, zstdDecompressSync } from "node:zlib";
import { Fault } from "../../lib/faults.ts";
import { startInflateThread, type InflateThread } from "../../lib/inflate-thread.ts";
import { makeInflater, type Inflater } from "../../lib/syscalls-inflate.ts";
import type { Qcow2Header } from "./header.ts";
import { zstdFrameBytes } from "./zstd-frame.ts";

export interface Decompressed {
  /** Exactly one cluster. */
  bytes: Buffer;
  /** Of the input, as far as it is known to belong to this cluster. */
  usedBytes: number;
}

/** A little more room than a cluster: the engine then sees the end in its first call. */
const slackBytes = 64;
const windowBits = 12;
/** Without another flush the engine takes an input that ends early for an error. */
const inflateFlush = { windowBits, finishFlush: constants.Z_SYNC_FLUSH } as const;

/** A window of 4 KiB, as qemu writes; made when first used. */
let engine: { readonly here: Inflater | undefined } | undefined;

function inflaterFor({ compression }: Pick<Qcow2Header, "compression">): Inflater | undefined {
  if (compression === "zstd") return undefined;
  engine ??= { here: makeInflater(windowBits) };
  return engine.here;
}

let begun: { readonly thread: InflateThread | undefined } | undefined;

/** A thread beside this one that does the same, begun with the first call. @returns undefined where there can be none */
export function inflateThreadFor(header: Pick<Qcow2Header, "compression">): InflateThread | undefined {
  const here = inflaterFor(header);
  if (!here) return undefined;
  begun ??= { thread: startInflateThread(windowBits, here) };
  return begun.thread;
}

/**
 * Fills `into`, which has the room of a cluster, on this thread.
 * @returns how many bytes of the input are known to belong to it; undefined when they do not make a whole cluster
 */
export async function decompressInto(
  header: Pick<Qcow2Header, "compression" | "clusterBytes">,
  input: Buffer,
  into: Buffer,
): Promise<number | undefined> {
  const here = inflaterFor(header);
  if (here) return here.inflate(input, into);
  const unpacked = await decompressCluster(header, input);
  unpacked?.bytes.copy(into);
  return unpacked?.usedBytes;
}

/**
 * On this thread: under a pod's processor limit, handing a cluster to node's pool and back costs more than it saves.
 * @returns undefined when the bytes do not make a whole cluster
 */
export async function decompressCluster(
  { compression, clusterBytes }: Pick<Qcow2Header, "compression" | "clusterBytes">,
  input: Buffer,
): Promise<Decompressed | undefined> {
  return compression === "zstd" ? unpackZstd(input, clusterBytes) : await inflateCluster(input, clusterBytes);
}

export const notDecompressed = (compression: string, host: number): Fault =>
  new Fault("ImageCorrupt", `the ${compression} compressed cluster at ${host} cannot be decompressed`);

async function inflateCluster(input: Buffer, clusterBytes: number): Promise<Decompressed | undefined> {
  try {
    const { buffer, engine } = inflateRawSync(input, {
      ...inflateFlush,
      chunkSize: clusterBytes + slackBytes,
      maxOutputLength: clusterBytes,
      info: true,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    return buffer.length === clusterBytes ? { bytes: buffer, usedBytes: engine.bytesWritten } : undefined;
  } catch {
    // A stream that goes on behind the cluster, or is damaged behind it: qemu looks at neither.
    return await inflateStart(input, clusterBytes);
  }
}

/** The first cluster of output, whatever comes after it. */
function inflateStart(input: Buffer, clusterBytes: number): Promise<Decompressed | undefined> {
  return new Promise((resolve) => {
    const engine = createInflateRaw({ ...inflateFlush, chunkSize: clusterBytes });
    const pieces: Buffer[] = [];
    let length = 0;
    const end = (): void => {
      engine.destroy();
      const bytes = Buffer.concat(pieces, Math.min(length, clusterBytes));
      resolve(length < clusterBytes ? undefined : { bytes, usedBytes: 0 });
    };
    engine.on("data", (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length >= clusterBytes) end();
    });
    engine.once("error", end).once("end", end).end(input);
  });
}

function unpackZstd(input: Buffer, clusterBytes: number): Decompressed | undefined {
  const pieces: Buffer[] = [];
  let length = 0;
  let at = 0;
  try {
    while (length < clusterBytes) {
      const frame = input.subarray(at, at + zstdFrameBytes(input.subarray(at)));
      if (frame.length === 0) return undefined;
      const options = { chunkSize: clusterBytes + slackBytes, maxOutputLength: clusterBytes - length };
      const piece = zstdDecompressSync(frame, options);
      pieces.push(piece);
      length += piece.length;
      at += frame.length;
    }
  } catch {
    return undefined;
  }
  const [only] = pieces;
  return { bytes: pieces.length === 1 && only ? only : Buffer.concat(pieces), usedBytes: at };
}
