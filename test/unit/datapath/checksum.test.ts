// Checksums as users write them, and the exact words of a mismatch.
import { describe, expect, test } from "vitest";
import { hashFor, parseChecksum, verifyChecksum } from "../../../src/datapath/checksum.ts";
import type { Hashing } from "../../../src/datapath/tap.ts";

const hex = { md5: "a".repeat(32), sha1: "0".repeat(40), sha256: "f".repeat(64), sha512: "1".repeat(128) } as const;

describe("parse", () => {
  test.each([
    ...Object.entries(hex).map(([algorithm, digits]) => ({ text: `${algorithm}:${digits}`, algorithm, digits })),
    { text: `SHA256:${hex.sha256.toUpperCase()}`, algorithm: "sha256", digits: hex.sha256 },
    { text: ` md5 : ${hex.md5} \n`, algorithm: "md5", digits: hex.md5 },
  ])("$text", ({ text, algorithm, digits }) => {
    expect(parseChecksum(text)).toEqual({ algorithm, hex: digits });
  });

  test.each([
    { when: "nothing", text: "", says: "expected 'algorithm:hash', got ''" },
    { when: "no hash", text: "sha256:", says: "expected 'algorithm:hash'" },
    { when: "no algorithm", text: hex.sha256, says: "expected 'algorithm:hash'" },
    { when: "two colons", text: `sha256:${hex.sha256}:`, says: "expected 'algorithm:hash'" },
    { when: "another algorithm", text: `crc32:${hex.md5}`, says: "unsupported hash algorithm 'crc32'" },
    { when: "a word every object has", text: `constructor:${hex.md5}`, says: "unsupported hash algorithm" },
    { when: "no hexadecimal", text: `md5:${"g".repeat(32)}`, says: "not valid hexadecimal" },
    { when: "a digit too few", text: `md5:${hex.md5.slice(1)}`, says: "expected 32 hex characters, got 31" },
    { when: "a hash of another algorithm", text: `sha1:${hex.sha256}`, says: "expected 40 hex characters, got 64" },
  ])("$when is refused", ({ text, says }) => {
    expect(() => parseChecksum(text)).toThrow(expect.objectContaining({ code: "ConfigInvalid" }));
    expect(() => parseChecksum(text)).toThrow(`Invalid checksum format: `);
    expect(() => parseChecksum(text)).toThrow(says);
  });
});

describe("verify", () => {
  const right = parseChecksum("md5:900150983cd24fb0d6963f7d28e17f72");
  const hashOf = async (text: string): Promise<Hashing> => {
    const hash = hashFor(right);
    await hash.update(Buffer.from(text));
    return hash;
  };
  test("the right bytes pass", async () => {
    const hash = await hashOf("abc");
    expect(() => verifyChecksum(right, hash)).not.toThrow();
  });
  test("other bytes are told in the words a controller looks for", async () => {
    const hash = await hashOf("abd");
    expect(() => verifyChecksum(right, hash)).toThrow(
      expect.objectContaining({
        code: "ChecksumMismatch",
        message:
          "checksum validation failed: checksum mismatch: expected md5:900150983cd24fb0d6963f7d28e17f72, calculated md5:4911e516e5aa21d327512e0c8b197616",
      }),
    );
  });
});
