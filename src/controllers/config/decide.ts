// What of CDIConfig's status is found out from the cluster: where the upload proxy is reached (interfaces/upload.md section 2.6).
// Pure.
import type { CdiConfig } from "../../api/cdi-config.ts";
import { kinds } from "../../api/kinds.ts";
import { keyOf, type KubeObject } from "../../api/meta.ts";
import { services } from "../../contract/install-names.ts";
import type { Plan } from "../../kube/index.ts";

export interface ConfigFacts {
  config: CdiConfig;
  /** Of the installation's namespace, by name. */
  ingresses: readonly KubeObject[];
  routes: readonly KubeObject[];
}

export function decideConfig(seen: ConfigFacts | undefined): Plan {
  if (!seen) return { steps: [] };
  const { config } = seen;
  const wanted = uploadProxyUrlOf(seen) ?? null;
  if ((config.status?.uploadProxyURL ?? null) === wanted) return { steps: [] };
  const { resourceVersion = "" } = config.metadata;
  const ref = { kind: kinds.cdiConfig, ...keyOf(config) };
  return { steps: [{ do: "patch", ref, body: { status: { uploadProxyURL: wanted } }, resourceVersion }] };
}

/** As written by the administrator, else a host without scheme. @returns undefined where nothing leads to the proxy */
export function uploadProxyUrlOf({ config, ingresses, routes }: ConfigFacts): string | undefined {
  return config.spec.uploadProxyURLOverride || firstOf(ingresses, hostOfIngress) || firstOf(routes, hostOfRoute);
}

const firstOf = (objects: readonly KubeObject[], hostOf: (object: KubeObject) => string | undefined) =>
  objects.map(hostOf).find((host) => host !== undefined && host !== "");

interface Backend {
  service?: { name?: string };
}
interface IngressSpec {
  defaultBackend?: Backend;
  rules?: { host?: string; http?: { paths?: { backend?: Backend }[] } }[];
}

const leadsToProxy = (backend: Backend | undefined): boolean => backend?.service?.name === services.uploadProxy;

function hostOfIngress(ingress: KubeObject): string | undefined {
  const { defaultBackend, rules = [] } = (ingress["spec"] ?? {}) as IngressSpec;
  if (leadsToProxy(defaultBackend)) return rules[0]?.host;
  return rules.find(({ http }) => http?.paths?.some(({ backend }) => leadsToProxy(backend)))?.host;
}

function hostOfRoute(route: KubeObject): string | undefined {
  const { to } = (route["spec"] ?? {}) as { to?: { name?: string } };
  const { ingress } = (route["status"] ?? {}) as { ingress?: { host?: string }[] };
  return to?.name === services.uploadProxy ? ingress?.[0]?.host : undefined;
}
