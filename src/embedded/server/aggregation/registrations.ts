// The APIServices as they stand in the store: who serves which group and version in our place, and where that is.
import { kinds } from "../../../api/kinds.ts";
import type { KindRef, KubeObject } from "../../../api/meta.ts";
import type { Store } from "../../store/index.ts";
import { list, text } from "../builtins/fields.ts";
import { collectionPrefix, keyFor } from "../resource.ts";
import { builtinOf } from "../registry.ts";
import { valueOf } from "../world.ts";

export interface Registration {
  name: string;
  group: string;
  version: string;
  service: { namespace: string; name: string; port: number };
  /** PEM; "" leaves trust to the system's authorities. */
  ca: string;
  isUnverified: boolean;
}

/** @returns undefined for one that is served here */
export function registrationIn(object: KubeObject): Registration | undefined {
  const name = text(object, "spec", "service", "name");
  if (name === "") return undefined;
  return {
    name: object.metadata.name ?? "",
    group: text(object, "spec", "group"),
    version: text(object, "spec", "version"),
    service: {
      namespace: text(object, "spec", "service", "namespace"),
      name,
      port: Number(text(object, "spec", "service", "port") || "443"),
    },
    ca: Buffer.from(text(object, "spec", "caBundle"), "base64").toString("utf8"),
    isUnverified: text(object, "spec", "insecureSkipTLSVerify") === "true",
  };
}

const apiServices = builtinOf(kinds.apiService);

export const registrations = (store: Store): Registration[] =>
  store
    .list(collectionPrefix(apiServices))
    .map((row) => registrationIn(valueOf(row)))
    .filter((one) => one !== undefined);

export function registrationOf(store: Store, group: string, version: string): Registration | undefined {
  const row = store.get(keyFor(apiServices, undefined, `${version}.${group}`));
  return row && registrationIn(valueOf(row));
}

export interface Address {
  host: string;
  port: number;
}
export type Reached = { at: Address } | { reason: string; message: string };

/** The first ready address behind the Service's port, or what is missing, in the real server's words. */
export function reach(store: Store, { service, name }: Registration): Reached {
  const { namespace, name: serviceName } = service;
  const get = (kind: KindRef): KubeObject | undefined => {
    const row = store.get(keyFor(builtinOf(kind), namespace, serviceName));
    return row && valueOf(row);
  };
  const found = get(kinds.service);
  if (!found) return { reason: "ServiceNotFound", message: `service/${serviceName} in "${namespace}" is not present` };
  const port = list(found, "spec", "ports").find((one) => Number(text(one, "port")) === service.port);
  if (!port) {
    const message = `service/${serviceName} in "${namespace}" is not listening on port ${service.port}`;
    return { reason: "ServicePortError", message };
  }
  const portName = text(port, "name");
  for (const subset of list(get(kinds.endpoints), "subsets")) {
    const target = list(subset, "ports").find((one) => text(one, "name") === portName);
    const [address] = list(subset, "addresses");
    if (target && address) return { at: { host: text(address, "ip"), port: Number(text(target, "port")) } };
  }
  const message = `endpoints for service/${serviceName} in "${namespace}" have no addresses with port name "${portName}" (${name})`;
  return { reason: "MissingEndpoints", message };
}
