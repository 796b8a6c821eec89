// Gives the token by which a claim may be uploaded into (interfaces/upload.md section 1): to whoever may create
// uploadtokenrequests in the namespace, whether or not the claim is there.
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { json, plain, type Answer } from "../answer.ts";
import type { User } from "../front-proxy.ts";
import type { Asked } from "../review.ts";

export interface TokenAsk {
  namespace: string;
  /** undefined: not passed on by the API server, or without a user. */
  user: User | undefined;
  /** As received. */
  body: string;
}

export interface TokenDoor {
  /** @throws when the review could not be had */
  may(user: User, asked: Asked): Promise<{ allowed: boolean; reason: string }>;
  sign(namespace: string, claim: string): Promise<string>;
}

const [group = "", version = ""] = kinds.uploadTokenRequest.apiVersion.split("/");

/** Denied is 401, as clients of this API know it, not 403. */
export async function handleTokenRequest({ namespace, user, body }: TokenAsk, door: TokenDoor): Promise<Answer> {
  if (!user) return plain(401, "request is not authenticated");
  const resource = kinds.uploadTokenRequest.plural;
  let decision: { allowed: boolean; reason: string };
  try {
    decision = await door.may(user, { verb: "create", group, version, resource, namespace });
  } catch (cause) {
    return plain(500, cause instanceof Error ? cause.message : String(cause));
  }
  if (!decision.allowed) return plain(401, decision.reason);
  const request = parsed(body);
  if (!request) return plain(400, "the body is not an UploadTokenRequest: JSON with spec.pvcName is wanted");
  const token = await door.sign(namespace, request.claim);
  const { object } = request;
  const { apiVersion, kind } = kinds.uploadTokenRequest;
  return json({ ...object, apiVersion, kind, metadata: { ...object.metadata, namespace }, status: { token } });
}

function parsed(body: string): { object: Partial<KubeObject>; claim: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const object = value as Partial<KubeObject> & { spec?: { pvcName?: unknown } };
  const claim = object.spec?.pvcName;
  return typeof claim === "string" && claim !== "" ? { object, claim } : undefined;
}
