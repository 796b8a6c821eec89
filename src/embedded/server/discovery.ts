// What the server says of itself: version, groups, kinds; plain and aggregated.
import { kinds } from "../../api/kinds.ts";
import type { KindRef } from "../../api/meta.ts";
import { noSuchPath } from "./errors.ts";
import type { Registry } from "./registry.ts";
import { groupOf, versionOf, type Resource } from "./resource.ts";
import { patchableVerbs, verbs } from "./verbs.ts";

export const kubernetesVersion = "v1.32.0";

export const versionInfo = {
  major: "1",
  minor: "32",
  gitVersion: `${kubernetesVersion}+cdi`,
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "2024-12-11T00:00:00Z",
  goVersion: "none",
  compiler: "none",
  platform: "linux/amd64",
} as const;

interface Part {
  name: string;
  verbs: readonly string[];
  /** Of what is sent and answered, where that is another kind. */
  kind?: KindRef;
}
const scaleKind: KindRef = { apiVersion: "autoscaling/v1", kind: "Scale", plural: "scales", namespaced: true };

/** Subresources that a kind has. */
const partsOf = (resource: Resource): Part[] => [
  ...(resource.hasStatus ? [{ name: "status", verbs: patchableVerbs }] : []),
  ...(resource.apiVersion === "v1" && resource.plural === "pods" ? [{ name: "log", verbs: ["get"] }] : []),
  ...(resource.scale ? [{ name: "scale", verbs: patchableVerbs, kind: scaleKind }] : []),
  ...(resource.apiVersion === "v1" && resource.plural === "namespaces"
    ? [{ name: "finalize", verbs: ["update"] }]
    : []),
  ...(resource.apiVersion === "v1" && resource.plural === "serviceaccounts"
    ? [{ name: "token", verbs: ["create"], kind: kinds.tokenRequest }]
    : []),
];

const partKind = ({ apiVersion, kind }: KindRef) => ({
  group: groupOf(apiVersion),
  version: versionOf(apiVersion),
  kind,
});

const groupsOf = (registry: Registry): string[] =>
  [...new Set(registry.all().map(({ group }) => group))].filter((group) => group !== "");
const versionsOf = (registry: Registry, group: string): string[] => [
  ...new Set(registry.all().flatMap((one) => (one.group === group ? [one.version] : []))),
];

export const apiVersions = (address: string): object => ({
  kind: "APIVersions",
  versions: ["v1"],
  serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
});

function apiGroup(registry: Registry, group: string): object {
  const versions = versionsOf(registry, group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

export const apiGroupList = (registry: Registry): object => ({
  kind: "APIGroupList",
  apiVersion: "v1",
  groups: groupsOf(registry).map((group) => apiGroup(registry, group)),
});

/** @throws ApiError 404 */
export function oneApiGroup(registry: Registry, group: string): object {
  if (!groupsOf(registry).includes(group)) throw noSuchPath();
  return { kind: "APIGroup", apiVersion: "v1", ...apiGroup(registry, group) };
}

/** @throws ApiError 404 */
export function apiResourceList(registry: Registry, apiVersion: string): object {
  const resources = registry.all().filter((one) => one.apiVersion === apiVersion);
  if (resources.length === 0) throw noSuchPath();
  const rows = resources.flatMap((one) => {
    const { plural, kind, namespaced, singular, shortNames, categories } = one;
    return [
      {
        name: plural,
        singularName: singular,
        namespaced,
        kind,
        verbs: one.verbs ?? verbs,
        ...(shortNames.length > 0 ? { shortNames } : {}),
        ...(categories.length > 0 ? { categories } : {}),
      },
      ...partsOf(one).map((part) => ({
        name: `${plural}/${part.name}`,
        singularName: "",
        namespaced,
        ...(part.kind ? { group: groupOf(part.kind.apiVersion), version: versionOf(part.kind.apiVersion) } : {}),
        kind: part.kind?.kind ?? kind,
        verbs: part.verbs,
      })),
    ];
  });
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersion, resources: rows };
}

/** @param core the core group alone ("/api"), else all others ("/apis") */
export function aggregatedDiscovery(registry: Registry, core: boolean, version: string): object {
  const groups = core ? [""] : groupsOf(registry);
  const kindOf = ({ group, version: of, kind }: Pick<Resource, "group" | "version" | "kind">): object => ({
    group,
    version: of,
    kind,
  });
  const versionItem = (group: string, of: string): object => ({
    version: of,
    freshness: "Current",
    resources: registry
      .all()
      .filter((one) => one.group === group && one.version === of)
      .map((one) => ({
        resource: one.plural,
        responseKind: kindOf(one),
        scope: one.namespaced ? "Namespaced" : "Cluster",
        singularResource: one.singular,
        verbs: one.verbs ?? verbs,
        ...(one.shortNames.length > 0 ? { shortNames: one.shortNames } : {}),
        ...(one.categories.length > 0 ? { categories: one.categories } : {}),
        subresources: partsOf(one).map((part) => ({
          subresource: part.name,
          responseKind: part.kind ? kindOf(partKind(part.kind)) : kindOf(one),
          verbs: part.verbs,
        })),
      })),
  });
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === "" ? {} : { name: group },
      versions: versionsOf(registry, group).map((of) => versionItem(group, of)),
    })),
  };
}
