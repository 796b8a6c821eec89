// When a source is worth several connections, and how many bytes they may be ahead of the reader: a pure decision.
import { largeBytes } from "../../lib/buffers.ts";

const MIB = 1024 * 1024;

/** One part that is asked for at a time on one connection, bytes. It is read into a buffer of those that go round. */
export const segmentBytes = largeBytes;
/** Connections at once: where it is not known yet whether several help, and where they do. */
export const fewestStreams = 2;
export const mostStreams = 6;
/**
 * Asked for and not yet handed on, at most, bytes. It bounds memory, and what is fetched twice after a kill: a segment of
 * 16 MiB less what the checkpoint lags behind (docs/adr/0030).
 */
export const windowBytes = mostStreams * segmentBytes;

/** A stretch of one stream is judged by itself, bytes. */
export const stretchBytes = 4 * MIB;
/** What is left must repay the connections, bytes. */
const leastLeftBytes = 32 * MIB;
/** From here on one connection's window may be what holds it back, ms. Below, it carries hundreds of MB/s. */
const leastLatencyMs = 20;
/** Quicker than that nothing is to be gained, bytes a second. */
const quickEnough = 100e6;
/** Of its time the reader must have waited for the network, else the disk or the decoder is what holds it back. */
const leastWaitedShare = 0.2;

/** A stretch of one stream, as its reader saw it. */
export interface Stretch {
  readonly bytes: number;
  readonly ms: number;
  /** Of that time, waiting for bytes, ms. */
  readonly waitedMs: number;
}

/** @param latencyMs the shortest exchange so far: an answer's first byte, or a small part whole */
export const isFar = (latencyMs: number): boolean => latencyMs >= leastLatencyMs;

export const isLong = (leftBytes: number): boolean => leftBytes >= leastLeftBytes;

/** Whether the network held the reader back. */
export const isHeldBack = ({ bytes, ms, waitedMs }: Stretch): boolean =>
  waitedMs >= leastWaitedShare * ms && bytes * 1000 < quickEnough * ms;

/** Calm bytes of one stream before several are tried again, after so many breaks of theirs. */
export const calmBytesAfter = (breaks: number): number => stretchBytes * 2 ** Math.min(breaks * 2, 12);
