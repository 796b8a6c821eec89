// The Secrets and config maps in which authorities and certificates are kept (interfaces/operator-and-monitoring.md section 5).
import type { ConfigMap, KubeSecret } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { commonLabels } from "../../api/labels.ts";
import type { KubeObject } from "../../api/meta.ts";
import { apiServiceName, bundleKey } from "../../contract/install-names.ts";
import type { Step } from "../../kube/index.ts";
import type { KeyedCertificate } from "../../pki/index.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const metadataOf = (namespace: string, name: string) => ({ namespace, name, labels: { ...commonLabels } });

export const pairData = ({ certificate, key }: KeyedCertificate): Record<string, string> => ({
  "tls.crt": base64(certificate),
  "tls.key": base64(key),
});

export const pairSecret = (namespace: string, name: string, pair: KeyedCertificate): KubeSecret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: metadataOf(namespace, name),
  type: "kubernetes.io/tls",
  data: pairData(pair),
});

export const bundleConfigMap = (namespace: string, name: string, bundle: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: metadataOf(namespace, name),
  data: { [bundleKey]: bundle },
});

/** Makes the object, or where there is one writes its data over. */
export function written(isThere: boolean, object: ConfigMap | KubeSecret): Step {
  const kind = object.kind === "Secret" ? kinds.secret : kinds.configMap;
  if (!isThere) return { do: "create", kind, object: object as KubeObject };
  const { namespace = "", name = "" } = object.metadata;
  return { do: "patch", ref: { kind, namespace, name }, body: { data: object.data } };
}

export const caBundleStep = (bundle: string): Step => ({
  do: "patch",
  ref: { kind: kinds.apiService, name: apiServiceName },
  body: { spec: { caBundle: base64(bundle), insecureSkipTLSVerify: null } },
});

export const caBundleOf = base64;
