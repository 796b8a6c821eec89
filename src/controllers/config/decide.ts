// What CDIConfig's status is to say: what follows from the spec, and where the upload proxy is reached (interfaces/upload.md
// section 2.6). Pure.
import { cdiConfigName, type CdiConfig } from "../../api/cdi-config.ts";
import type { StorageClass } from "../../api/core.ts";
import { kinds } from "../../api/kinds.ts";
import { appName, components, labels } from "../../api/labels.ts";
import { keyOf, type KindRef, type KubeObject } from "../../api/meta.ts";
import { services } from "../../contract/install-names.ts";
import { mergeDiff, type Plan } from "../../kube/index.ts";
import { minutes } from "../../lib/duration.ts";
import { presentedFor } from "../../pki/index.ts";
import { knobsOf } from "./status.ts";

export interface ConfigFacts {
  config: CdiConfig;
  storageClasses: readonly StorageClass[];
  /** Of the installation's namespace, by name. */
  ingresses: readonly KubeObject[];
  routes: readonly KubeObject[];
  /** PEM texts to choose the proxy's authority from, by where they lie: see `authorityPlace`. */
  authority?: string;
}

/** Where a client's trust in the proxy begins: a Secret or ConfigMap of the installation's namespace, and its key. */
export interface AuthorityPlace {
  kind: KindRef;
  name: string;
  key: string;
}

const emptyConfig: KubeObject = {
  apiVersion: kinds.cdiConfig.apiVersion,
  kind: kinds.cdiConfig.kind,
  metadata: { name: cdiConfigName, labels: { [labels.app]: appName, [labels.component]: components.config } },
  spec: {},
};

/** Certificates end, and nobody tells when a Secret holds new ones. */
const lookAgainMs = minutes(10);

/** @param seen undefined while there is none: then it is made, and looked at again when it appears */
export function decideConfig(seen: ConfigFacts | undefined, nowMs: number): Plan {
  if (!seen) return { steps: [{ do: "create", kind: kinds.cdiConfig, object: emptyConfig }] };
  const { config, storageClasses } = seen;
  const uploadProxyURL = uploadProxyUrlOf(seen);
  const uploadProxyCA = seen.authority && presentedFor(uploadProxyURL ?? "", seen.authority, nowMs);
  // What others write there stays; a knob that is not set any more goes.
  const {
    importProxy: _,
    imagePullSecrets: __,
    uploadProxyURL: ___,
    uploadProxyCA: said,
    ...kept
  } = config.status ?? {};
  // Beside an administrator's word the authority is an administrator's, too.
  const ca = config.spec.uploadProxyURLOverride ? said : uploadProxyCA;
  const wanted = {
    ...kept,
    ...knobsOf(config.spec, storageClasses),
    ...(uploadProxyURL ? { uploadProxyURL } : {}),
    ...(ca ? { uploadProxyCA: ca } : {}),
  };
  const status = mergeDiff(config.status, wanted);
  const again: Pick<Plan, "lookAgainInMs"> = authorityPlace(seen) ? { lookAgainInMs: lookAgainMs } : {};
  if (!status) return { steps: [], ...again };
  const { resourceVersion = "" } = config.metadata;
  const ref = { kind: kinds.cdiConfig, ...keyOf(config) };
  return { steps: [{ do: "patch", ref, body: { status }, resourceVersion }], ...again };
}

/** @returns undefined where an administrator's word stands, or nothing leads to the proxy */
export function authorityPlace({ config, ingresses, routes }: ConfigFacts): AuthorityPlace | undefined {
  if (config.spec.uploadProxyURLOverride) return undefined;
  const ingress = ingresses.find(hostOfIngress);
  if (ingress) {
    const { tls = [] } = (ingress["spec"] ?? {}) as { tls?: { secretName?: string }[] };
    const name = tls.find(({ secretName }) => secretName)?.secretName;
    return name === undefined ? undefined : { kind: kinds.secret, name, key: "tls.crt" };
  }
  if (!routes.some(hostOfRoute)) return undefined;
  return { kind: kinds.configMap, name: "kube-root-ca.crt", key: "ca.crt" };
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
