// When a certificate is made anew, and which authorities are trusted meanwhile: pure questions of times (house rule: the new
// authority is trusted before the old one leaves).
import { X509Certificate } from "node:crypto";

/** How long a certificate lasts, and how long before its end it is made anew; ms. */
export interface Lifetime {
  readonly durationMs: number;
  readonly renewBeforeMs: number;
}

const hourMs = 3_600_000;
/** interfaces/operator-and-monitoring.md section 5. */
export const defaultLifetimes = {
  ca: { durationMs: 48 * hourMs, renewBeforeMs: 24 * hourMs },
  server: { durationMs: 24 * hourMs, renewBeforeMs: 12 * hourMs },
  client: { durationMs: 24 * hourMs, renewBeforeMs: 12 * hourMs },
} as const satisfies Record<string, Lifetime>;

/** @returns the certificates of a PEM bundle, one text each; what cannot be read is left out */
export function certificatesIn(bundle: string): string[] {
  const found = bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return found.map((one) => `${one}\n`).filter((one) => parsed(one) !== undefined);
}

/** @returns undefined for what is no certificate */
function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined; // an empty or damaged one is as good as none
  }
}

/** @returns ms since the epoch; undefined when there is no readable certificate */
export const endOf = (certificate: string | undefined): number | undefined =>
  certificate === undefined ? undefined : parsed(certificate)?.validToDate.getTime();

/** Missing, damaged, or within `renewBeforeMs` of its end. */
export function isDue(certificate: string | undefined, { renewBeforeMs }: Lifetime, nowMs: number): boolean {
  const end = endOf(certificate);
  return end === undefined || end - renewBeforeMs <= nowMs;
}

/** Is this certificate signed by one of the bundle? */
export function isSignedBy(certificate: string, bundle: string): boolean {
  const leaf = parsed(certificate);
  return (
    leaf !== undefined &&
    certificatesIn(bundle).some((one) => {
      const authority = parsed(one);
      return authority !== undefined && leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
    })
  );
}

/** Does it bear all these names, as DNS names or addresses? */
export function bearsNames(
  certificate: string,
  names: { dnsNames?: readonly string[]; ips?: readonly string[] },
): boolean {
  const leaf = parsed(certificate);
  if (!leaf) return false;
  return (
    (names.dnsNames ?? []).every((name) => leaf.checkHost(name) !== undefined) &&
    (names.ips ?? []).every((ip) => leaf.checkIP(ip) !== undefined)
  );
}

/** The present authority first, then those before it that have not ended: what they signed stays good. */
export function bundleWith(current: string, before: string | undefined, nowMs: number): string {
  const earlier = certificatesIn(before ?? "").filter((one) => one.trim() !== current.trim());
  const good = earlier.filter((one) => (endOf(one) ?? 0) > nowMs);
  return [current.endsWith("\n") ? current : `${current}\n`, ...good].join("");
}
