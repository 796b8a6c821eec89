// The endpoints of a Service, from the pods it selects: pure. Source: Kubernetes' endpoints controller.
import type { Pod } from "../../api/core.ts";
import type { KubeObject } from "../../api/meta.ts";

export interface ServicePort {
  name?: string;
  port: number;
  targetPort?: number | string;
  protocol?: string;
}
export interface Service extends KubeObject {
  spec: { clusterIP?: string; selector?: Record<string, string>; ports?: ServicePort[] };
}
export interface Subset {
  addresses?: { ip: string }[];
  notReadyAddresses?: { ip: string }[];
  ports?: { name?: string; port: number; protocol?: string }[];
}
export interface Endpoints extends KubeObject {
  subsets?: Subset[];
}

export const selects = ({ spec }: Service, pod: KubeObject): boolean =>
  spec.selector !== undefined &&
  Object.keys(spec.selector).length > 0 &&
  Object.entries(spec.selector).every(([key, value]) => pod.metadata.labels?.[key] === value);

/** @param pods of the Service's namespace */
export function subsetsOf(service: Service, pods: readonly Pod[]): Subset[] {
  const live = pods
    .filter((pod) => selects(service, pod) && pod.status?.podIP && !pod.metadata.deletionTimestamp)
    .filter((pod) => !["Succeeded", "Failed"].includes(pod.status?.phase ?? ""))
    .toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
  if (live.length === 0) return [];
  const addressOf = (pod: Pod) => ({
    ip: pod.status?.podIP ?? "",
    targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
  });
  const ready = live.filter(isReady).map(addressOf);
  const notReady = live.filter((pod) => !isReady(pod)).map(addressOf);
  const ports = (service.spec.ports ?? []).flatMap((port) => {
    const number = targetOf(port, live);
    const { name, protocol = "TCP" } = port;
    return number === undefined ? [] : [{ ...(name ? { name } : {}), port: number, protocol }];
  });
  return [
    {
      ...(ready.length > 0 ? { addresses: ready } : {}),
      ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
      ports,
    },
  ];
}

const isReady = ({ status }: Pod): boolean =>
  (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");

function targetOf({ port, targetPort = port }: ServicePort, pods: readonly Pod[]): number | undefined {
  if (typeof targetPort === "number" || /^\d+$/.test(targetPort)) return Number(targetPort);
  const named = pods.flatMap((pod) => pod.spec.containers).flatMap(({ ports = [] }) => ports);
  return named.find(({ name }) => name === targetPort)?.containerPort;
}

/** Ready addresses. */
export const readyAddresses = (endpoints: Endpoints | undefined): string[] =>
  (endpoints?.subsets ?? []).flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip));

/** Names a Service is known by, in its own words and in DNS's. */
export function namesOf({ metadata }: KubeObject): string[] {
  const { name = "", namespace = "" } = metadata;
  return [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`, `${name}.${namespace}`];
}
