// JSON web tokens, of two kinds: who holds the key signs, who holds the public key or a certificate to it checks. What stands in
// them is their users' business (contract/token.ts, embedded/server/auth).
import { createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { errors, jwtVerify, SignJWT, type JWTPayload } from "jose";

interface TokenKind {
  readonly algorithm: "PS256" | "ES256";
  /** Claims a token must have. */
  readonly needs: readonly string[];
  /** Clocks of signer and verifier may differ by this much. */
  readonly leewaySeconds: number;
}
export const tokenKinds = {
  /** Of the installation: an RSA key of 2048 bits that the API server keeps in a Secret, as upstream's. */
  installation: { algorithm: "PS256", needs: ["exp", "nbf"], leewaySeconds: 10 },
  /** Of accounts in a cluster in one process: a key of curve P-256. */
  account: { algorithm: "ES256", needs: ["exp", "sub"], leewaySeconds: 0 },
} as const satisfies Record<string, TokenKind>;

/** PEM texts: PKCS#1 and SubjectPublicKeyInfo, the forms upstream keeps. */
export interface SigningKey {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** For tokens of the installation. */
export async function makeSigningKey(): Promise<SigningKey> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicExponent: 0x10001,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
}

/**
 * @param key PEM, PKCS#1 or PKCS#8
 * @param claims times in seconds since the epoch, as JWT has them
 * @throws Error for an unusable key
 */
export async function signClaims(
  kind: keyof typeof tokenKinds,
  key: string,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  return new SignJWT(claims as JWTPayload)
    .setProtectedHeader({ alg: tokenKinds[kind].algorithm, typ: "JWT" })
    .sign(createPrivateKey(key));
}

export interface Verifying {
  /** PEM: a public key, or a certificate to it. */
  publicKey: string;
  issuer: string;
  /** When the token has to be valid, milliseconds since the epoch. */
  nowMs: number;
}

/**
 * @returns undefined for what is no token, is signed by another, altered, not of the issuer, not yet or no longer valid
 * @throws Error for an unusable key
 */
export async function claimsIn(
  kind: keyof typeof tokenKinds,
  token: string,
  { publicKey, issuer, nowMs }: Verifying,
): Promise<Record<string, unknown> | undefined> {
  const { algorithm, needs, leewaySeconds } = tokenKinds[kind];
  const key = createPublicKey(publicKey);
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      issuer,
      clockTolerance: leewaySeconds,
      currentDate: new Date(nowMs),
      requiredClaims: [...needs],
    });
    return payload;
  } catch (cause) {
    if (cause instanceof errors.JOSEError) return undefined;
    throw cause;
  }
}

export interface Signing {
  /** PEM, PKCS#1 or PKCS#8. */
  privateKey: string;
  issuer: string;
  /** Milliseconds since the epoch. */
  nowMs: number;
  lifetimeMs: number;
}

/** A token of the installation, valid from now on. @throws Error for an unusable key */
export async function signToken(claims: object, { privateKey, issuer, nowMs, lifetimeMs }: Signing): Promise<string> {
  const now = Math.floor(nowMs / 1000);
  const times = { iss: issuer, iat: now, nbf: now, exp: now + Math.floor(lifetimeMs / 1000) };
  return await signClaims("installation", privateKey, { ...claims, ...times });
}

/** As `claimsIn`, of a token of the installation. */
export const verifyToken = (token: string, verifying: Verifying): Promise<Record<string, unknown> | undefined> =>
  claimsIn("installation", token, verifying);
