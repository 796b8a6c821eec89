// The config map from which servers behind ours learn whom to believe when a request is passed on to them.
import { kinds } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/meta.ts";
import { isAlreadyExists, type KubeClient } from "../../../kube/index.ts";
import { frontProxyName, type Credentials } from "../credentials.ts";

export async function ensureAuthenticationMap(
  client: KubeClient,
  { authority, frontProxy }: Credentials,
): Promise<void> {
  const metadata = { namespace: "kube-system", name: "extension-apiserver-authentication" };
  const data = {
    "client-ca-file": authority.certificate,
    "requestheader-client-ca-file": frontProxy.authority,
    "requestheader-allowed-names": JSON.stringify([frontProxyName]),
    "requestheader-username-headers": JSON.stringify(["X-Remote-User"]),
    "requestheader-group-headers": JSON.stringify(["X-Remote-Group"]),
    "requestheader-extra-headers-prefix": JSON.stringify(["X-Remote-Extra-"]),
  };
  const map: KubeObject = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
  await client.create(map, kinds.configMap).catch(async (cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause;
    await client.patch({ kind: kinds.configMap, ...metadata }, { data }, { type: "merge" });
  });
}
