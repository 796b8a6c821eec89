// The key tokens are signed with: made once, kept in a Secret of the installation, shared by all replicas.
import type { KubeSecret } from "../api/core.ts";
import { kinds } from "../api/kinds.ts";
import { commonLabels, labels } from "../api/labels.ts";
import { signingKeySecret } from "../contract/token.ts";
import { isAlreadyExists, type KubeClient } from "../kube/index.ts";
import { makeSigningKey, type SigningKey } from "../pki/index.ts";

const { name, privateKey, publicKey } = signingKeySecret;

/** @throws the client's error; Error for a Secret without a key in it */
export async function signingKeyIn(client: KubeClient, namespace: string): Promise<SigningKey> {
  const ref = { kind: kinds.secret, namespace, name };
  const found = (await client.get(ref)) ?? (await make(client, namespace)) ?? (await client.get(ref));
  const data = (found as KubeSecret | undefined)?.data ?? {};
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const key = { privateKey: text(privateKey), publicKey: text(publicKey) };
  if (!key.privateKey || !key.publicKey) throw new Error(`Secret ${namespace}/${name} holds no key pair`);
  return key;
}

/** @returns undefined when another replica was first */
async function make(client: KubeClient, namespace: string): Promise<KubeSecret | undefined> {
  const key = await makeSigningKey();
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const secret: KubeSecret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace, name, labels: { ...commonLabels, [labels.component]: "keystore" } },
    type: "Opaque",
    data: { [privateKey]: base64(key.privateKey), [publicKey]: base64(key.publicKey) },
  };
  return client.create(secret, kinds.secret).catch((cause: unknown) => {
    if (isAlreadyExists(cause)) return undefined;
    throw cause;
  }) as Promise<KubeSecret | undefined>;
}
