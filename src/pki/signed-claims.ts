// Claims signed as JSON web tokens (ES256): who holds the key signs, who holds a certificate to it checks.
import { X509Certificate } from "node:crypto";
import { errors, importPKCS8, importSPKI, jwtVerify, SignJWT, type JWTPayload } from "jose";

const alg = "ES256";

/** @param key PEM, PKCS#8, of curve P-256. @param claims times in seconds since the epoch, as JWT has them */
export async function signClaims(key: string, claims: Readonly<Record<string, unknown>>): Promise<string> {
  return new SignJWT(claims as JWTPayload).setProtectedHeader({ alg, typ: "JWT" }).sign(await importPKCS8(key, alg));
}

/**
 * @param certificate PEM, to the key that signed
 * @param nowMs when the token has to be valid
 * @returns undefined for what is no token, is signed by another, is not of the issuer, is not yet or no longer valid
 */
export async function claimsIn(
  certificate: string,
  token: string,
  issuer: string,
  nowMs: number,
): Promise<Record<string, unknown> | undefined> {
  const spki = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "pem" }) as string;
  try {
    const options = { algorithms: [alg], issuer, currentDate: new Date(nowMs), requiredClaims: ["exp", "sub"] };
    const { payload } = await jwtVerify(token, await importSPKI(spki, alg), options);
    return payload;
  } catch (cause) {
    if (cause instanceof errors.JOSEError) return undefined;
    throw cause;
  }
}
