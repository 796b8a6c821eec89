// Groups that others serve, put beside our own in discovery; plain and aggregated.
import type { RemoteResource } from "./availability.ts";

export interface RemoteGroup {
  group: string;
  version: string;
  /** Empty while its server does not answer. */
  resources: readonly RemoteResource[];
  isAvailable: boolean;
}

const groupOf = ({ group, version }: RemoteGroup): object => {
  const one = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [one], preferredVersion: one };
};

/** @param list APIGroupList */
export function withRemoteGroups(list: object, remote: readonly RemoteGroup[]): object {
  const { groups = [] } = list as { groups?: object[] };
  return { ...list, groups: [...groups, ...remote.map(groupOf)] };
}

export const remoteGroup = (one: RemoteGroup): object => ({ kind: "APIGroup", apiVersion: "v1", ...groupOf(one) });

/** @param list APIGroupDiscoveryList */
export function withRemoteDiscovery(list: object, remote: readonly RemoteGroup[]): object {
  const { items = [] } = list as { items?: object[] };
  return { ...list, items: [...items, ...remote.map(discoveryOf)] };
}

function discoveryOf({ group, version, resources, isAvailable }: RemoteGroup): object {
  const of = (kind: string) => ({ group, version, kind });
  const own = resources.filter(({ name }) => !name.includes("/"));
  return {
    metadata: { name: group },
    versions: [
      {
        version,
        freshness: isAvailable ? "Current" : "Stale",
        resources: own.map(({ name, kind, namespaced, singularName, verbs, shortNames, categories }) => ({
          resource: name,
          responseKind: of(kind),
          scope: namespaced ? "Namespaced" : "Cluster",
          singularResource: singularName ?? "",
          verbs,
          ...(shortNames?.length ? { shortNames } : {}),
          ...(categories?.length ? { categories } : {}),
        })),
      },
    ],
  };
}
