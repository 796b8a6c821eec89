// ServiceAccount tokens: made for an account, maybe for one pod or secret only, and good as long as all of these are there.
import { randomUUID } from "node:crypto";
import { kinds } from "../../../api/kinds.ts";
import type { KindRef } from "../../../api/meta.ts";
import type { Clock } from "../../../lib/clock.ts";
import { claimsIn, signClaims, type KeyedCertificate } from "../../../pki/index.ts";
import type { Store } from "../../store/index.ts";
import { isRecord } from "../schema/structural.ts";
import { at, strings, text } from "../builtins/fields.ts";
import { keyFor } from "../resource.ts";
import { valueOf } from "../world.ts";
import { accountGroups, accountOf, accountUsername, type UserInfo } from "./user.ts";

export const issuer = "https://kubernetes.default.svc.cluster.local";
/** What a token is for when nothing is said: this server. */
export const ownAudiences: readonly string[] = [issuer];

export interface BoundObject {
  readonly kind: "Pod" | "Secret" | "Node";
  readonly name: string;
  readonly uid: string;
}
export interface TokenWish {
  readonly namespace: string;
  readonly name: string;
  /** Of the account. */
  readonly uid: string;
  readonly audiences: readonly string[];
  readonly expiresMs: number;
  readonly boundTo?: BoundObject;
}

export interface AccountTokens {
  issue(wish: TokenWish): Promise<string>;
  /** @returns undefined for a token that is not good, now, for any of the audiences */
  check(token: string, audiences?: readonly string[]): Promise<{ user: UserInfo; audiences: string[] } | undefined>;
}

const boundKinds: Readonly<Record<string, KindRef>> = { pod: kinds.pod, secret: kinds.secret, node: kinds.node };
const seconds = (ms: number): number => Math.floor(ms / 1000);

export function accountTokens(store: Store, keys: KeyedCertificate, clock: Clock): AccountTokens {
  const isThere = (kind: KindRef, namespace: string, named: unknown): boolean => {
    const row = store.get(keyFor(kind, namespace, text(named, "name")));
    return row !== undefined && valueOf(row).metadata.uid === text(named, "uid");
  };
  return {
    async issue({ namespace, name, uid, audiences, expiresMs, boundTo }) {
      const now = seconds(clock.now());
      return signClaims("account", keys.key, {
        iss: issuer,
        sub: accountUsername(namespace, name),
        aud: audiences,
        iat: now,
        nbf: now,
        exp: seconds(expiresMs),
        jti: randomUUID(),
        "kubernetes.io": {
          namespace,
          serviceaccount: { name, uid },
          ...(boundTo ? { [boundTo.kind.toLowerCase()]: { name: boundTo.name, uid: boundTo.uid } } : {}),
        },
      });
    },
    async check(token, audiences = ownAudiences) {
      const claims = await claimsIn("account", token, { publicKey: keys.certificate, issuer, nowMs: clock.now() });
      const account = claims && accountOf(text(claims, "sub"));
      if (!account) return undefined;
      const meant = strings({ aud: [claims["aud"]].flat() }, "aud").filter((one) => audiences.includes(one));
      const about = claims["kubernetes.io"];
      const named = at(about, "serviceaccount");
      if (meant.length === 0 || !isThere(kinds.serviceAccount, account.namespace, named)) return undefined;
      const bound = Object.entries(boundKinds).find(([word]) => isRecord(at(about, word)));
      if (bound && !isThere(bound[1], account.namespace, at(about, bound[0]))) return undefined;
      const pod = at(about, "pod");
      return {
        audiences: meant,
        user: {
          username: accountUsername(account.namespace, account.name),
          uid: text(named, "uid"),
          groups: accountGroups(account.namespace),
          extra: {
            "authentication.kubernetes.io/credential-id": [`JTI=${text(claims, "jti")}`],
            ...(isRecord(pod)
              ? {
                  "authentication.kubernetes.io/pod-name": [text(pod, "name")],
                  "authentication.kubernetes.io/pod-uid": [text(pod, "uid")],
                }
              : {}),
          },
        },
      };
    },
  };
}
