// The authorities and certificates of the installation as they stand: few objects in one namespace, read when looked at.
import type { ConfigMap, KubeSecret } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../api/meta.ts";
import { apiServiceName, bundleKey, signers, type Signer } from "../../contract/install-names.ts";
import type { KubeClient } from "../../kube/index.ts";
import type { KeyedCertificate } from "../../pki/index.ts";

export type SignerName = keyof typeof signers;

export interface SignerFacts {
  name: SignerName;
  authority?: KeyedCertificate;
  /** PEM texts. */
  bundle?: string;
  leaf?: KeyedCertificate;
  has: { secret: boolean; bundle: boolean; leaf: boolean };
}

export interface CertificateFacts {
  signers: SignerFacts[];
  /** Base64, as its APIService says it; absent where there is no such object. */
  apiCaBundle?: string;
}

export async function observeCertificates(client: KubeClient, namespace: string): Promise<CertificateFacts> {
  const get = (kind: KindRef, name: string): Promise<KubeObject | undefined> => client.get({ kind, namespace, name });
  const names = Object.keys(signers) as SignerName[];
  const facts = await Promise.all(names.map((name) => signerFacts(name, get)));
  const service = await client.get({ kind: kinds.apiService, name: apiServiceName });
  if (!service) return { signers: facts };
  const { caBundle = "" } = (service["spec"] ?? {}) as { caBundle?: string };
  return { signers: facts, apiCaBundle: caBundle };
}

async function signerFacts(
  name: SignerName,
  get: (kind: KindRef, name: string) => Promise<KubeObject | undefined>,
): Promise<SignerFacts> {
  const signer: Signer = signers[name];
  const [secret, bundle, leaf] = await Promise.all([
    get(kinds.secret, signer.secret),
    get(kinds.configMap, signer.bundle),
    signer.leaf === undefined ? undefined : get(kinds.secret, signer.leaf),
  ]);
  const text = (bundle as ConfigMap | undefined)?.data?.[bundleKey];
  const [authority, own] = [pairIn(secret as KubeSecret | undefined), pairIn(leaf as KubeSecret | undefined)];
  return {
    name,
    ...(authority ? { authority } : {}),
    ...(text === undefined ? {} : { bundle: text }),
    ...(own ? { leaf: own } : {}),
    has: { secret: secret !== undefined, bundle: bundle !== undefined, leaf: leaf !== undefined },
  };
}

/** @returns undefined unless both halves are there */
export function pairIn(secret: KubeSecret | undefined): KeyedCertificate | undefined {
  const text = (key: string): string => Buffer.from(secret?.data?.[key] ?? "", "base64").toString("utf8");
  const [certificate, key] = [text("tls.crt"), text("tls.key")];
  return certificate && key ? { certificate, key } : undefined;
}
