// EC P-256 key pairs and X.509 certificates: PEM in, PEM out; the time is handed in, nothing is stored.
// @peculiar/x509 finds its parts through reflect-metadata, which has to be there first.
import "reflect-metadata";
import { isIP } from "node:net";
import { randomBytes, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Extension, JsonGeneralName } from "@peculiar/x509";
import type { Clock } from "../lib/clock.ts";

/** A certificate and the private key to it, both PEM (the key as PKCS#8). */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Groups of the user, where the certificate is one of a client of Kubernetes. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ips?: readonly string[];
  readonly usages: readonly ("server" | "client")[];
  /** Milliseconds since the epoch; certificates hold whole seconds, so fractions are cut off. */
  readonly notBefore: number;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** A certificate is used on other machines at once; their clocks may be this much behind. */
const clockSkewMs = 60_000;

/** A new authority that signs for `validMs` from now on. */
export async function makeAuthority(commonName: string, validMs: number, clock: Clock): Promise<KeyedCertificate> {
  const keys = await makeKeys();
  const now = clock.now();
  const extensions = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
  ];
  const name = nameOf(commonName);
  const span = { notBefore: now - clockSkewMs, notAfter: now + validMs };
  return seal({ subject: name, issuer: name, span, keys, signingKey: keys.privateKey, extensions });
}

/** A new key pair with a certificate signed by the authority. @throws Error when the authority's PEM is unusable */
export async function issueCertificate(
  authority: KeyedCertificate,
  request: CertificateRequest,
): Promise<KeyedCertificate> {
  const keys = await makeKeys();
  const issuer = new X509Certificate(authority.certificate);
  const extensions = [
    ...(await leafExtensions(request, keys.publicKey)),
    await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
  ];
  const signingKey = await importKey(authority.key);
  const subject = nameOf(request.commonName, request.organizations);
  return seal({ subject, issuer: issuer.subjectName.toJSON(), span: request, keys, signingKey, extensions });
}

/** A new key pair with a certificate signed by itself, for endpoints whose readers do not verify. */
export async function selfSigned(request: CertificateRequest): Promise<KeyedCertificate> {
  const keys = await makeKeys();
  const name = nameOf(request.commonName);
  const extensions = await leafExtensions(request, keys.publicKey);
  return seal({ subject: name, issuer: name, span: request, keys, signingKey: keys.privateKey, extensions });
}

type DistinguishedName = Record<string, string[]>[];

interface Sealing {
  subject: DistinguishedName;
  issuer: DistinguishedName;
  span: { readonly notBefore: number; readonly notAfter: number };
  keys: CryptoKeyPair;
  signingKey: CryptoKey;
  extensions: Extension[];
}
type CryptoKey = webcrypto.CryptoKey;
type CryptoKeyPair = webcrypto.CryptoKeyPair;

async function seal(parts: Sealing): Promise<KeyedCertificate> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: parts.subject,
    issuer: parts.issuer,
    notBefore: new Date(parts.span.notBefore),
    notAfter: new Date(parts.span.notAfter),
    publicKey: parts.keys.publicKey,
    signingKey: parts.signingKey,
    signingAlgorithm: algorithm,
    extensions: parts.extensions,
  });
  return { certificate: ended(certificate.toString("pem")), key: await exportKey(parts.keys.privateKey) };
}

async function leafExtensions(request: CertificateRequest, publicKey: CryptoKey): Promise<Extension[]> {
  const usages = request.usages.map((usage) => ExtendedKeyUsage[`${usage}Auth`]);
  const names: JsonGeneralName[] = [
    ...(request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(request.ips ?? []).map((value) => ({ type: "ip" as const, value: checkedIp(value) })),
  ];
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(usages),
    await SubjectKeyIdentifierExtension.create(publicKey),
    ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
  ];
}

/** The structured form, so that no character of a name is read as syntax. */
const nameOf = (commonName: string, organizations: readonly string[] = []): DistinguishedName => [
  ...organizations.map((name) => ({ O: [name] })),
  { CN: [commonName] },
];

function checkedIp(value: string): string {
  if (isIP(value) === 0) throw new Error(`${JSON.stringify(value)} is not an IP address`);
  return value;
}

/** 16 random bytes, hex; positive and never shortened (first byte 0x40-0x7f). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

async function makeKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return ended(PemConverter.encode(der, PemConverter.PrivateKeyTag));
}

async function importKey(pem: string): Promise<CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", PemConverter.decodeFirst(pem), algorithm, false, ["sign"]);
}

const ended = (pem: string): string => (pem.endsWith("\n") ? pem : `${pem}\n`);
