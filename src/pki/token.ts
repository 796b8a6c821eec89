// JSON web tokens of the installation: PS256 with an RSA key of 2048 bits that the API server keeps in a Secret. What stands in
// them is the contract's business (contract/token.ts).
import { createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { errors, jwtVerify, SignJWT, type JWTPayload } from "jose";

const algorithm = "PS256";
/** Clocks of signer and verifier may differ by this much, seconds. */
const leewaySeconds = 10;

/** PEM texts: PKCS#1 and SubjectPublicKeyInfo, the forms upstream keeps. */
export interface SigningKey {
  readonly privateKey: string;
  readonly publicKey: string;
}

export async function makeSigningKey(): Promise<SigningKey> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicExponent: 0x10001,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
}

export interface Signing {
  /** PEM, PKCS#1 or PKCS#8. */
  privateKey: string;
  issuer: string;
  /** Milliseconds since the epoch. */
  nowMs: number;
  lifetimeMs: number;
}

/** @throws Error for an unusable key */
export async function signToken(claims: object, { privateKey, issuer, nowMs, lifetimeMs }: Signing): Promise<string> {
  const now = Math.floor(nowMs / 1000);
  return new SignJWT({ ...claims } as JWTPayload)
    .setProtectedHeader({ alg: algorithm, typ: "JWT" })
    .setIssuer(issuer)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + Math.floor(lifetimeMs / 1000))
    .sign(createPrivateKey(privateKey));
}

export interface Verifying {
  /** PEM. */
  publicKey: string;
  issuer: string;
  /** Milliseconds since the epoch. */
  nowMs: number;
}

/** @returns the claims; undefined for a token that is not ours, altered, not yet or no longer valid. @throws Error for an unusable key */
export async function verifyToken(
  token: string,
  { publicKey, issuer, nowMs }: Verifying,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const { payload } = await jwtVerify(token, createPublicKey(publicKey), {
      algorithms: [algorithm],
      issuer,
      clockTolerance: leewaySeconds,
      currentDate: new Date(nowMs),
      requiredClaims: ["exp", "nbf"],
    });
    return payload;
  } catch (cause) {
    if (cause instanceof errors.JOSEError) return undefined;
    throw cause;
  }
}
