// What stands in the tokens by which one part of an installation lets another act (interfaces/upload.md 1.1, admission.md 4).
import { minutes } from "../lib/duration.ts";

/** Issuer of upload tokens and of short clone tokens. */
export const apiServerIssuer = "cdi-apiserver";
export const shortTokenMs = minutes(5);

/** The Secret that holds the key, and its files. */
export const signingKeySecret = { name: "cdi-api-signing-key", privateKey: "id_rsa", publicKey: "id_rsa.pub" } as const;

export interface TokenClaims {
  operation: string;
  /** Of the claim. */
  name: string;
  namespace: string;
  resource: { group: string; version: string; resource: string };
  params?: Record<string, string>;
}

const claimsResource = { group: "", version: "v1", resource: "persistentvolumeclaims" } as const;

export const uploadClaims = (namespace: string, name: string): TokenClaims => ({
  operation: "Upload",
  name,
  namespace,
  resource: claimsResource,
});

/** @returns undefined for anything but leave to upload into one claim. v1.56 spells the first key `opertation`. */
export function uploadTargetOf(
  claims: Readonly<Record<string, unknown>>,
): { namespace: string; name: string } | undefined {
  const { name, namespace, resource } = claims;
  const operation = claims["operation"] ?? claims["opertation"];
  const plural = typeof resource === "object" && resource !== null ? (resource as { resource?: unknown }).resource : "";
  if (operation !== "Upload" || plural !== claimsResource.resource) return undefined;
  if (typeof name !== "string" || typeof namespace !== "string" || name === "" || namespace === "") return undefined;
  return { namespace, name };
}
