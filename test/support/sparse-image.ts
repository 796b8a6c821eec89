// Images made for tests: random extents in a sea of zeros, an odd tail, and a count of what they ought to cost on a disk.
import { randomFillSync } from "node:crypto";
import { isZero } from "../../src/datapath/sinks/zero-blocks.ts";

const MIB = 1024 * 1024;

/** Small numbers from a seed: the same image each time. */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** `extents` stretches of random bytes at odd and even places; the last sector bears data. */
export function makeSparseImage(sizeBytes: number, extents: number, seed = 1): Buffer {
  const image = Buffer.alloc(sizeBytes);
  const next = numbersFrom(seed);
  for (let index = 0; index < extents; index += 1) {
    const length = 512 * Math.ceil(next() * 48);
    const offset = 512 * Math.floor((next() * (sizeBytes - length)) / 512);
    randomFillSync(image, offset, length);
  }
  image.fill(0xa5, sizeBytes - 100);
  return image;
}

/** Bytes of the 4 KiB blocks that are not all zero. */
export function dataBytesOf(image: Buffer): number {
  let dataBytes = 0;
  for (let at = 0; at < image.length; at += 4096) {
    if (!isZero(image, at, Math.min(4096, image.length - at))) dataBytes += 4096;
  }
  return dataBytes;
}

/** What an import of this image may take up: two parts in a hundred and a MiB above its data. */
export const allowedBytesOf = (image: Buffer): number => dataBytesOf(image) * 1.02 + MIB;
