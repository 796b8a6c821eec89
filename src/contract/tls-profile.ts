// From CDIConfig's tlsSecurityProfile to what a TLS endpoint is told (interfaces/storage-decisions.md section 4): a lowest
// version in Go's words, ciphers in OpenSSL's.
import type { CdiConfigSpec } from "../api/cdi-config.ts";

export interface TlsProfile {
  ciphers: readonly string[];
  /** VersionTLS10 to VersionTLS13. */
  minVersion: string;
}

const modern = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const ecdhe = (suites: readonly string[]): string[] =>
  suites.flatMap((suite) => [`ECDHE-ECDSA-${suite}`, `ECDHE-RSA-${suite}`]);
const intermediate = [
  ...modern,
  ...ecdhe(["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]),
  "DHE-RSA-AES128-GCM-SHA256",
  "DHE-RSA-AES256-GCM-SHA384",
];
const old = [
  ...intermediate,
  "DHE-RSA-CHACHA20-POLY1305",
  ...ecdhe(["AES128-SHA256", "AES128-SHA", "AES256-SHA384", "AES256-SHA"]),
  "DHE-RSA-AES128-SHA256",
  "DHE-RSA-AES256-SHA256",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA256",
  "AES256-SHA256",
  "AES128-SHA",
  "AES256-SHA",
  "DES-CBC3-SHA",
];

export function tlsProfileOf(wanted: CdiConfigSpec["tlsSecurityProfile"]): TlsProfile {
  switch (wanted?.type) {
    case "Old":
      return { ciphers: old, minVersion: "VersionTLS10" };
    case "Modern":
      return { ciphers: modern, minVersion: "VersionTLS13" };
    case "Custom":
      if (wanted.custom) return { ciphers: wanted.custom.ciphers, minVersion: wanted.custom.minTLSVersion };
      return { ciphers: intermediate, minVersion: "VersionTLS12" };
    default:
      return { ciphers: intermediate, minVersion: "VersionTLS12" };
  }
}

const versions = { VersionTLS10: "TLSv1", VersionTLS11: "TLSv1.1", VersionTLS12: "TLSv1.2", VersionTLS13: "TLSv1.3" };
type NodeTlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** The same as options of node's TLS. An unknown version means 1.2, no ciphers the runtime's own. */
export function tlsOptionsOf({ ciphers, minVersion }: TlsProfile): { minVersion: NodeTlsVersion; ciphers?: string } {
  const version = (versions as Readonly<Record<string, string>>)[minVersion] ?? "TLSv1.2";
  return { minVersion: version as NodeTlsVersion, ...(ciphers.length > 0 ? { ciphers: ciphers.join(":") } : {}) };
}
