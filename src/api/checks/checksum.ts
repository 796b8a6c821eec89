// The `algorithm:hash` text of an http source's checksum (admission.md section 2, check 17).

const hexDigits: Readonly<Record<string, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 };

/** @returns what is wrong with the text, or undefined */
export function checksumComplaint(text: string): string | undefined {
  const colon = text.indexOf(":");
  if (colon < 0) return `invalid checksum format: expected 'algorithm:hash', got '${text}'`;
  const algorithm = text.slice(0, colon).trim().toLowerCase();
  const hash = text
    .slice(colon + 1)
    .trim()
    .toLowerCase();
  if (hash === "") return "checksum hash value cannot be empty";
  const expected = Object.hasOwn(hexDigits, algorithm) ? hexDigits[algorithm] : undefined;
  if (expected === undefined) {
    return `unsupported hash algorithm '${algorithm}': supported algorithms are: ${Object.keys(hexDigits).join(", ")}`;
  }
  if (hash.length !== expected) {
    return `invalid ${algorithm} hash length: expected ${expected} hex characters, got ${hash.length}`;
  }
  const bad = /[^0-9a-f]/u.exec(hash)?.[0];
  if (bad === undefined) return undefined;
  const point = (bad.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `checksum hash is not valid hexadecimal: encoding/hex: invalid byte: U+${point} '${bad}'`;
}
