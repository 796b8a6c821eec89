// Compressed clusters that are there together: a part of them is another thread's, in one message, while this one does the others.
import { decompressInto, inflateThreadFor } from "./decompress.ts";
import type { Qcow2Header } from "./header.ts";

export interface ClusterToUnpack {
  readonly input: Buffer;
  /** The room of a cluster. */
  readonly into: Buffer;
  /** Afterwards: of the input, as far as it is known to belong to the cluster; undefined when it does not make a whole one. */
  usedBytes?: number | undefined;
}

/** Of the clusters: this thread also reads the source and feeds the target. Measured in docs/adr/0029. */
const othersPart = 0.5;
/** Unpacked bytes from which on a thread is worth its beginning. */
const threadFromBytes = 4 * 1024 * 1024;
let unpackedBytes = 0;

type Header = Pick<Qcow2Header, "compression" | "clusterBytes">;

/** The memory must stay as it is until it settles. @param isShared with another thread, where there can be one */
export async function unpackClusters(
  header: Header,
  clusters: readonly ClusterToUnpack[],
  isShared: boolean,
): Promise<void> {
  unpackedBytes += clusters.length * header.clusterBytes;
  const thread = isShared && unpackedBytes > threadFromBytes ? inflateThreadFor(header) : undefined;
  const count = thread?.isReady ? Math.floor(clusters.length * othersPart) : 0;
  const theirs = clusters.slice(0, count);
  // One that has ended leaves its part to this thread.
  const answer = count > 0 ? thread?.inflate(theirs).catch(() => undefined) : undefined;
  try {
    await unpackHere(header, clusters.slice(count));
  } finally {
    // Not before it knows of no memory any more.
    await answer;
  }
  const used = await answer;
  if (!used) return await unpackHere(header, theirs);
  for (const [index, cluster] of theirs.entries()) cluster.usedBytes = used[index];
}

async function unpackHere(header: Header, clusters: readonly ClusterToUnpack[]): Promise<void> {
  for (const cluster of clusters) cluster.usedBytes = await decompressInto(header, cluster.input, cluster.into);
}
