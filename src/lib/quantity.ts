// Kubernetes quantities ("5Gi", "500M", "1e3"), read into whole bytes and back.
// Grammar: apimachinery resource.Quantity; fractions round up, as Quantity.Value() does.

const suffixes: Readonly<Record<string, [bigint, bigint]>> = {
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1000n],
  "": [1n, 1n],
  k: [10n ** 3n, 1n],
  M: [10n ** 6n, 1n],
  G: [10n ** 9n, 1n],
  T: [10n ** 12n, 1n],
  P: [10n ** 15n, 1n],
  E: [10n ** 18n, 1n],
  Ki: [2n ** 10n, 1n],
  Mi: [2n ** 20n, 1n],
  Gi: [2n ** 30n, 1n],
  Ti: [2n ** 40n, 1n],
  Pi: [2n ** 50n, 1n],
  Ei: [2n ** 60n, 1n],
};

export const quantityPattern =
  /^([+-]?)(\d+\.?\d*|\.\d+)(?:([eE])([+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** @returns whole bytes (or units), rounded up; undefined when the text is not a quantity or past 2^53 */
export function parseQuantity(text: string | number): number | undefined {
  const match = quantityPattern.exec(String(text).trim());
  if (!match) return undefined;
  const [, sign, digits = "", exponentMark, exponent, suffix = ""] = match;
  const [whole = "", fraction = ""] = digits.split(".");
  let numerator = BigInt(`${whole}${fraction}` || "0");
  let denominator = 10n ** BigInt(fraction.length);
  if (exponentMark) {
    const power = Number(exponent);
    if (power >= 0) numerator *= 10n ** BigInt(power);
    if (power < 0) denominator *= 10n ** BigInt(-power);
  }
  const scale = suffixes[suffix];
  if (!scale) return undefined;
  numerator *= scale[0];
  denominator *= scale[1];
  const negative = sign === "-";
  const rounded = negative ? -(numerator / denominator) : (numerator + denominator - 1n) / denominator;
  const value = Number(rounded);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Bytes for people: "1.5 GiB". */
export function shownBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value >= 100 ? 0 : 1)} ${units[unit]}`;
}
