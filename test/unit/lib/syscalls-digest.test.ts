// Digests that are put away in the middle and taken up again say what node:crypto says of the whole.
import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { isSavedDigest, savableDigest, type SavedDigest } from "../../../src/lib/syscalls-digest.ts";

const algorithms = ["sha256", "sha512", "sha1", "md5"] as const;
const bytes = randomBytes(200_000);
const cases = algorithms.flatMap((algorithm) => [0, 128, 1280, 65_536].map((at) => ({ algorithm, at })));

test.each(cases)("$algorithm, put away after $at bytes", ({ algorithm, at }) => {
  const first = savableDigest(algorithm);
  first?.update(bytes.subarray(0, 100));
  first?.update(bytes.subarray(100, Math.max(100, at)));
  const before = savableDigest(algorithm);
  before?.update(bytes.subarray(0, at));
  const saved = JSON.parse(JSON.stringify(before?.save())) as SavedDigest;
  const second = savableDigest(algorithm, saved);
  second?.update(bytes.subarray(at));
  expect(second?.bytes).toBe(bytes.length);
  expect(second?.digest()).toBe(createHash(algorithm).update(bytes).digest("hex"));
});

test("past 4 GiB the count of bits takes its second word", () => {
  const bytesBefore = 2 ** 32;
  const base = savableDigest("sha256")?.save().words ?? "";
  const saved = { algorithm: "sha256", bytes: bytesBefore, words: base } as const;
  const digest = savableDigest("sha256", saved);
  digest?.update(bytes);
  // The padding holds the length: the same words with another count give another digest.
  const other = savableDigest("sha256", { ...saved, bytes: 0 });
  other?.update(bytes);
  expect(digest?.bytes).toBe(bytesBefore + bytes.length);
  expect(digest?.digest()).not.toBe(other?.digest());
});

test.each<[string, SavedDigest]>([
  ["in the middle of a block", { algorithm: "sha256", bytes: 64, words: "00".repeat(32) }],
  ["too short", { algorithm: "sha256", bytes: 128, words: "00".repeat(31) }],
  ["of another algorithm", { algorithm: "sha1", bytes: 128, words: "00".repeat(20) }],
  ["not hex", { algorithm: "sha256", bytes: 128, words: "zz".repeat(32) }],
  ["of negative length", { algorithm: "sha256", bytes: -128, words: "00".repeat(32) }],
])("a state %s is refused", (_, saved) => {
  expect(() => savableDigest("sha256", saved)).toThrow("no saved state");
  expect(isSavedDigest(saved) && saved.algorithm === "sha256").toBe(false);
});

test("the middle of a block cannot be put away", () => {
  const digest = savableDigest("sha512");
  digest?.update(Buffer.alloc(5));
  expect(() => digest?.save()).toThrow("in the middle of a block");
});
