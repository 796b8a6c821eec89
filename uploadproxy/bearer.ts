// From the Authorization header to the claim its token is for (interfaces/upload.md section 2.3, rows 2 to 4). The token's
// bearer may do one thing: upload into that claim.
import { apiServerIssuer, uploadTargetOf } from "../src/contract/token.ts";
import { verifyToken } from "../src/pki/index.ts";

export type Bearer = { target: { namespace: string; name: string } } | { refused: 400 | 401 };

const pattern = /^bearer\s+([A-Za-z0-9\-._~+/]+)$/i;

/** @param publicKey PEM. @throws Error for an unusable key */
export async function bearerOf(header: string | undefined, publicKey: string, nowMs: number): Promise<Bearer> {
  const [, token] = pattern.exec(header ?? "") ?? [];
  if (token === undefined) return { refused: 400 };
  const claims = await verifyToken(token, { publicKey, issuer: apiServerIssuer, nowMs });
  if (!claims) return { refused: 401 };
  const target = uploadTargetOf(claims);
  return target ? { target } : { refused: 400 };
}
