// The door of the room for key pairs and certificates. Importing it loads @peculiar/x509 (tens of milliseconds): data
// programs load it late, with `await import("../src/pki/index.ts")`.
export { issueCertificate, makeAuthority, selfSigned } from "./certificate.ts";
export type { CertificateRequest, KeyedCertificate } from "./certificate.ts";
export { claimsIn, makeSigningKey, signClaims, signToken, verifyToken, type SigningKey } from "./token.ts";
export {
  bearsNames,
  bundleWith,
  certificatesIn,
  defaultLifetimes,
  endOf,
  isDue,
  isSignedBy,
  type Lifetime,
} from "./rotation.ts";
export { presentedFor } from "./presented.ts";
export { watchFiles, type WatchedFiles } from "./watched-files.ts";
