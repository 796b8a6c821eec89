// What an answer should look like, read from the Accept header.

export type Shape =
  | { as: "object" }
  | { as: "Table"; version: "v1" | "v1beta1" }
  | { as: "PartialObjectMetadata" | "PartialObjectMetadataList" };

/** The first media type of the list that this server can answer. JSON when none says otherwise. */
export function shapeOf(accept: string | undefined): Shape {
  for (const media of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = media.split(";").map((word) => word.trim());
    const wanted = new Map(parameters.map((word) => word.split("=", 2) as [string, string]));
    const version = wanted.get("v");
    const kind = wanted.get("as");
    if (type !== "application/json" || wanted.get("g") !== "meta.k8s.io" || !kind) continue;
    if (kind === "Table" && (version === "v1" || version === "v1beta1")) return { as: "Table", version };
    if (kind === "PartialObjectMetadata" || kind === "PartialObjectMetadataList") return { as: kind };
  }
  return { as: "object" };
}

const spoken = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/*", "*/*"];

/** Whether the list holds anything that a kube-apiserver speaks; an empty one does. */
export const isAcceptable = (accept: string | undefined): boolean =>
  !accept || accept.split(",").some((media) => spoken.includes(media.split(";")[0]?.trim().toLowerCase() ?? ""));

/** Whether YAML is asked for before JSON. */
export const wantsYaml = (accept: string | undefined): boolean => /^\s*application\/yaml\b/i.test(accept ?? "");

export const wantsAggregated = (accept: string | undefined): boolean =>
  /application\/json;[^,]*as=APIGroupDiscoveryList/.test(accept ?? "") && /g=apidiscovery\.k8s\.io/.test(accept ?? "");
/** The version of aggregated discovery asked for first. */
export const aggregatedVersion = (accept: string | undefined): string =>
  /g=apidiscovery\.k8s\.io;v=(v2beta1|v2)\b/.exec(accept ?? "")?.[1] ?? "v2";
