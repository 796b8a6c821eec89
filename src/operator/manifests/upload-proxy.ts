// The upload proxy: its Deployment, Service and rights. How it is reached from outside is the administrator's choice: an Ingress, a
// Route, or a Service of another type with CDIConfig's uploadProxyURLOverride.
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { services, signers } from "../../contract/install-names.ts";
import { signingKeySecret } from "../../contract/token.ts";
import { uploadProxyName, type Install } from "./install.ts";
import { rule } from "./rbac.ts";
import { certificateFolder, servingObjects } from "./serving.ts";

export function uploadProxyFor(install: Install): KubeObject[] {
  const file = (secret: string, name: string): string => `${certificateFolder}/${secret}/${name}`;
  const { name, publicKey: key } = signingKeySecret;
  return servingObjects(install, {
    name: uploadProxyName,
    service: services.uploadProxy,
    image: install.images.uploadProxy,
    env: [
      { name: "APISERVER_PUBLIC_KEY", valueFrom: { secretKeyRef: { name, key } } },
      { name: "SERVER_CERT_FILE", value: file(signers.uploadProxy.leaf, "tls.crt") },
      { name: "SERVER_KEY_FILE", value: file(signers.uploadProxy.leaf, "tls.key") },
      { name: "UPLOAD_CLIENT_CERT_FILE", value: file(signers.uploadClient.leaf, "tls.crt") },
      { name: "UPLOAD_CLIENT_KEY_FILE", value: file(signers.uploadClient.leaf, "tls.key") },
      { name: "UPLOAD_SERVER_CA_BUNDLE_CONFIG_MAP", value: signers.uploadServer.bundle },
    ],
    secrets: [signers.uploadProxy.leaf, signers.uploadClient.leaf],
    clusterRules: [rule([kinds.claim], ["get"]), rule([kinds.cdiConfig], ["get", "list", "watch"])],
    ownRules: [rule([kinds.configMap], ["get"])],
  });
}
