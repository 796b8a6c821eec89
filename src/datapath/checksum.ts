// The checksum a user may ask for: over the bytes as they are sent, before any decompression (importer.md section 7.7).
import { createHash } from "node:crypto";
import { Fault } from "../lib/faults.ts";
import { SegmentedDigest } from "./checkpoint/segmented-digest.ts";
import type { Hashing } from "./tap.ts";

const hexLengths = { md5: 32, sha1: 40, sha256: 64, sha512: 128 } as const;
export type ChecksumAlgorithm = keyof typeof hexLengths;

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Lower case. */
  readonly hex: string;
}

/** @param text `alg:hex`, upper or lower case @throws Fault ConfigInvalid */
export function parseChecksum(text: string): Checksum {
  const [algorithm = "", hex = "", ...more] = text
    .trim()
    .toLowerCase()
    .split(":")
    .map((part) => part.trim());
  const wanted = Object.hasOwn(hexLengths, algorithm) ? hexLengths[algorithm as ChecksumAlgorithm] : undefined;
  const invalid = (detail: string): Fault => new Fault("ConfigInvalid", `Invalid checksum format: ${detail}`);
  if (!hex || more.length > 0) throw invalid(`expected 'algorithm:hash', got '${text}'`);
  if (wanted === undefined) {
    throw invalid(
      `unsupported hash algorithm '${algorithm}': supported algorithms are: ${Object.keys(hexLengths).join(", ")}`,
    );
  }
  if (!/^[0-9a-f]+$/.test(hex)) throw invalid("checksum hash is not valid hexadecimal");
  if (hex.length !== wanted)
    throw invalid(`invalid ${algorithm} hash length: expected ${wanted} hex characters, got ${hex.length}`);
  return { algorithm: algorithm as ChecksumAlgorithm, hex };
}

/** On another thread where that is to be had. */
export const hashFor = ({ algorithm }: Checksum): Hashing =>
  SegmentedDigest.withoutStates(algorithm) ?? createHash(algorithm);

/** Upstream's text, by which its controller knows the fault. @throws Fault ChecksumMismatch */
export function verifyChecksum(expected: Checksum, hash: Hashing): void {
  const calculated = hash.digest("hex");
  if (calculated === expected.hex) return;
  const { algorithm, hex } = expected;
  throw new Fault(
    "ChecksumMismatch",
    `checksum validation failed: checksum mismatch: expected ${algorithm}:${hex}, calculated ${algorithm}:${calculated}`,
  );
}
