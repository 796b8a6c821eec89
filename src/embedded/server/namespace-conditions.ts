// What a namespace under deletion says of what it still holds, in the words of the real server's controller.
import type { KubeObject } from "../../api/meta.ts";
import { groupOf, versionOf } from "./resource.ts";

interface Told {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

const fine: readonly Told[] = [
  {
    type: "NamespaceDeletionDiscoveryFailure",
    status: "False",
    reason: "ResourcesDiscovered",
    message: "All resources successfully discovered",
  },
  {
    type: "NamespaceDeletionGroupVersionParsingFailure",
    status: "False",
    reason: "ParsedGroupVersions",
    message: "All legacy kube types successfully parsed",
  },
  {
    type: "NamespaceDeletionContentFailure",
    status: "False",
    reason: "ContentDeleted",
    message: "All content successfully deleted, may be waiting on finalization",
  },
];

/** "configmaps. has 2 resource instances, ..." */
function counted(words: readonly string[], verb: "has" | "in"): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const shown = [...counts].map(([word, count]) => `${word} ${verb} ${count} resource instances`);
  return shown.toSorted().join(", ");
}

const resourceWord = ({ apiVersion, kind }: KubeObject): string =>
  `${kind.toLowerCase()}s.${groupOf(apiVersion) === "" ? "" : `${groupOf(apiVersion)}/${versionOf(apiVersion)}`}`;

/** @param left the objects that are still there */
export function contentConditions(left: readonly KubeObject[]): Told[] {
  const finalizers = left.flatMap(({ metadata }) => metadata.finalizers ?? []);
  return [
    ...fine,
    left.length > 0
      ? {
          type: "NamespaceContentRemaining",
          status: "True",
          reason: "SomeResourcesRemain",
          message: `Some resources are remaining: ${counted(left.map(resourceWord), "has")}`,
        }
      : {
          type: "NamespaceContentRemaining",
          status: "False",
          reason: "ContentRemoved",
          message: "All content successfully removed",
        },
    finalizers.length > 0
      ? {
          type: "NamespaceFinalizersRemaining",
          status: "True",
          reason: "SomeFinalizersRemain",
          message: `Some content in the namespace has finalizers remaining: ${counted(finalizers, "in")}`,
        }
      : {
          type: "NamespaceFinalizersRemaining",
          status: "False",
          reason: "ContentHasNoFinalizers",
          message: "All content-preserving finalizers finished",
        },
  ];
}
