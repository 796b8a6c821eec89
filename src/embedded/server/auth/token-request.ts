// serviceaccounts/NAME/token: a token for an account, made to measure and never stored.
import { kinds } from "../../../api/kinds.ts";
import type { KindRef } from "../../../api/meta.ts";
import { stamp } from "../../../lib/clock.ts";
import { at, strings, text } from "../builtins/fields.ts";
import { badRequest, conflict, invalid, notFound } from "../errors.ts";
import { builtinOf } from "../registry.ts";
import { keyFor, type FieldError } from "../resource.ts";
import { isRecord } from "../schema/structural.ts";
import { valueOf, type World } from "../world.ts";
import { ownAudiences, type AccountTokens, type BoundObject } from "./account-tokens.ts";

const accounts = builtinOf(kinds.serviceAccount);
const tokenRequests = { ...kinds.tokenRequest, group: "authentication.k8s.io" };
const leastSeconds = 600;
const mostSeconds = 2 ** 32;
const usualSeconds = 3600;

export interface TokenAsked {
  readonly namespace: string;
  readonly name: string;
  /** The TokenRequest as sent; may be nothing at all. */
  readonly body: unknown;
  readonly dryRun: boolean;
}

/** @throws ApiError 400, 404, 409, 422 */
export async function requestToken(
  { store, clock }: Pick<World, "store" | "clock">,
  tokens: AccountTokens,
  { namespace, name, body, dryRun }: TokenAsked,
): Promise<object> {
  const row = store.get(keyFor(accounts, namespace, name));
  if (!row) throw notFound(accounts, name);
  const { metadata } = valueOf(row);
  const spec = at(body, "spec");
  const kind = text(body, "kind");
  if (kind !== "" && kind !== tokenRequests.kind)
    throw badRequest(`the object provided is a ${kind}, expected a TokenRequest`);
  const bodyName = text(body, "metadata", "name");
  if (bodyName !== "" && bodyName !== name)
    throw badRequest(`name on the TokenRequest (${bodyName}) does not match the name on the URL (${name})`);
  const sent = strings(spec, "audiences");
  const audiences = sent.length > 0 ? sent : [...ownAudiences];
  const expirationSeconds = Number(at(spec, "expirationSeconds") ?? usualSeconds);
  const why =
    expirationSeconds < leastSeconds
      ? "may not specify a duration less than 10 minutes"
      : expirationSeconds > mostSeconds
        ? "may not specify a duration larger than 2^32 seconds"
        : undefined;
  if (why !== undefined) {
    const message = `Invalid value: ${expirationSeconds}: ${why}`;
    const error: FieldError = { field: "spec.expirationSeconds", reason: "FieldValueInvalid", message };
    throw invalid(tokenRequests, "", [error]);
  }
  const ref = at(spec, "boundObjectRef");
  const boundTo = isRecord(ref) ? boundObject(store, namespace, ref) : undefined;
  const expiresMs = clock.now() + expirationSeconds * 1000;
  const wish = { namespace, name, uid: metadata.uid ?? "", audiences, expiresMs, ...(boundTo ? { boundTo } : {}) };
  return {
    kind: tokenRequests.kind,
    apiVersion: tokenRequests.apiVersion,
    metadata: { name, namespace, creationTimestamp: stamp(clock.now()) },
    spec: { audiences, expirationSeconds, boundObjectRef: boundTo ? ref : null },
    status: { token: dryRun ? "" : await tokens.issue(wish), expirationTimestamp: stamp(expiresMs) },
  };
}

const bindable: Readonly<Record<string, KindRef>> = { Pod: kinds.pod, Secret: kinds.secret, Node: kinds.node };

function boundObject(store: World["store"], namespace: string, ref: Record<string, unknown>): BoundObject {
  const kind = text(ref, "kind") as BoundObject["kind"];
  const bound = bindable[kind];
  if (!bound) throw badRequest(`cannot bind token for serviceaccount to type ${text(ref, "apiVersion")}, Kind=${kind}`);
  const resource = builtinOf(bound);
  const name = text(ref, "name");
  const row = store.get(keyFor(resource, namespace, name));
  if (!row) throw notFound(resource, name);
  const { uid = "" } = valueOf(row).metadata;
  const asked = text(ref, "uid");
  if (asked !== "" && asked !== uid) {
    const why = `the UID in the bound object reference (${asked}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict(resource, name, why);
  }
  return { kind, name, uid };
}
