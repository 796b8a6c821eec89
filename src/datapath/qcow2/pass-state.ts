// What a pass through a stream knows at one place of the file, as bytes, and back: with it another process goes on from there.
// It lies on a volume, so nothing in it is believed before it was looked at.
import { Fault } from "../../lib/faults.ts";
import { entryKinds, l2BytesFor, type EntryKind } from "./entries.ts";
import type { Entry } from "./entry-heap.ts";
import { neededL1Entries, readHeader, type Qcow2Header } from "./header.ts";
import type { Placed } from "./placed-clusters.ts";

export interface KeptStretch {
  host: number;
  bytes: Buffer;
}

export interface PassState {
  /** The beginning of the image, the header in it. */
  head: Buffer;
  /** Everything below is placed, kept, or known to be of no use. */
  coveredTo: number;
  /** Still to be placed or read, in any order. */
  plan: readonly Entry[];
  /** Tables for which the plan had no room. */
  deferred: readonly Entry[];
  /** In the order of the file. */
  placed: readonly Placed[];
  /** In the order of the file. */
  kept: readonly KeptStretch[];
}

/** A larger state is not worth its writing. */
export const mostStateBytes = 24 * 1024 * 1024;
const most53 = Number.MAX_SAFE_INTEGER;
const longestEntry = 2 ** 24;

/** @returns undefined when it is larger than `mostStateBytes` */
export function writePassState({ head, coveredTo, plan, deferred, placed, kept }: PassState): Buffer | undefined {
  const counts = [coveredTo, head.length, plan.length, deferred.length, placed.length, kept.length];
  const numbers = counts.length + 4 * (plan.length + deferred.length + placed.length) + 2 * kept.length;
  const keptBytes = kept.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (8 * numbers + head.length + keptBytes > mostStateBytes) return undefined;
  const all = new Float64Array(numbers);
  let at = 0;
  const put = (...some: number[]): void => {
    for (const one of some) all[at++] = one;
  };
  put(...counts);
  for (const { kind, host, length, guest } of plan) put(kind, host, length, guest);
  for (const { kind, host, length, guest } of deferred) put(kind, host, length, guest);
  for (const { host, length, guest, isCompressed } of placed) put(Number(isCompressed), host, length, guest);
  for (const { host, bytes } of kept) put(host, bytes.length);
  return Buffer.concat([Buffer.from(all.buffer), head, ...kept.map(({ bytes }) => bytes)]);
}

/** @returns undefined unless all of it makes sense for a file of so many bytes. */
export function readPassState(from: Buffer, fileBytes: number): PassState | undefined {
  try {
    return readState(from, fileBytes);
  } catch (cause) {
    // The head may be no image's.
    if (cause instanceof Nonsense || cause instanceof Fault) return undefined;
    throw cause;
  }
}

class Nonsense extends Error {}

function expectIt(isSo: boolean): void {
  if (!isSo) throw new Nonsense("the state of a pass makes no sense");
}

function readState(from: Buffer, fileBytes: number): PassState {
  let at = 0;
  const take = (most = most53): number => {
    expectIt(at + 8 <= from.length);
    const value = from.readDoubleLE(at);
    at += 8;
    expectIt(Number.isSafeInteger(value) && value >= 0 && value <= most);
    return value;
  };
  const bytes = (length: number): Buffer => {
    expectIt(at + length <= from.length);
    at += length;
    return from.subarray(at - length, at);
  };
  // No list is longer than its numbers take room.
  const room = Math.floor(from.length / 16);
  const coveredTo = take(fileBytes);
  const [headBytes, plans, tables, places, keeps] = [take(from.length), take(room), take(room), take(room), take(room)];
  const entry = (): Entry => ({ kind: take(3) as EntryKind, host: take(), length: take(longestEntry), guest: take() });
  const plan = Array.from({ length: plans }, entry);
  const deferred = Array.from({ length: tables }, entry);
  const placed = Array.from({ length: places }, (): Placed => {
    const isCompressed = take(1) === 1;
    return { host: take(fileBytes), length: take(fileBytes), guest: take(), isCompressed };
  });
  const stretches = Array.from({ length: keeps }, () => ({ host: take(fileBytes), length: take(from.length) }));
  const head = Buffer.from(bytes(headBytes));
  const kept = stretches.map(({ host, length }) => ({ host, bytes: bytes(length) }));
  expectIt(at === from.length);
  const header = readHeader(head);
  for (const one of plan) expectIt(fits(header, one));
  for (const one of deferred) expectIt(fits(header, one) && one.kind !== entryKinds.standard);
  for (const one of placed) {
    const length = one.isCompressed ? header.clusterBytes : one.length;
    expectIt(one.length > 0 && one.guest + length <= header.virtualSizeBytes);
  }
  expectIt(isInOrder(placed) && isInOrder(kept.map((one) => ({ host: one.host, length: one.bytes.length }))));
  return { head, coveredTo, plan, deferred, placed, kept };
}

function fits(header: Qcow2Header, { kind, length, guest }: Entry): boolean {
  const { virtualSizeBytes } = header;
  if (length === 0) return false;
  if (kind === entryKinds.l1) return length % 8 === 0 && guest + length / 8 <= neededL1Entries(header);
  if (guest >= virtualSizeBytes) return false;
  if (kind === entryKinds.l2) return length === l2BytesFor(header, guest);
  return kind === entryKinds.compressed || guest + length <= virtualSizeBytes;
}

const isInOrder = (some: readonly { host: number; length: number }[]): boolean =>
  some.every(({ host }, index) => {
    const before = some[index - 1];
    return !before || before.host + before.length <= host;
  });
