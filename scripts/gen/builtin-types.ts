// The fields of the built-in kinds that embedded mode serves, one line a type, read from the models of client-node (which are
// made from the API's own OpenAPI document).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as models from "@kubernetes/client-node";

interface Attribute {
  baseName: string;
  name: string;
  type: string;
  format: string;
}
type Model = { getAttributeTypeMap(): Attribute[] };

const roots = [
  ..."V1Namespace V1Node V1Pod V1PersistentVolumeClaim V1PersistentVolume CoreV1Event V1ConfigMap V1Secret".split(" "),
  ..."V1Service V1Endpoints V1ServiceAccount V1StorageClass V1CSIDriver V1Lease V1CustomResourceDefinition".split(" "),
  ..."V1Role V1RoleBinding V1ClusterRole V1ClusterRoleBinding V1TokenReview V1SelfSubjectReview".split(" "),
  ..."AuthenticationV1TokenRequest V1SubjectAccessReview V1SelfSubjectAccessReview".split(" "),
  ..."V1LocalSubjectAccessReview V1SelfSubjectRulesReview V1Status V1DeleteOptions V1ResourceQuota V1Ingress V1APIService".split(
    " ",
  ),
];
/** Quantities are texts in the models; the API takes numbers too. */
const quantities = new Set(
  "limits requests capacity allocatable allocatedResources sizeLimit divisor overhead default max min hard used".split(
    " ",
  ),
);
const scalars: Readonly<Record<string, string>> = {
  string: "s",
  boolean: "b",
  Date: "t",
  V1MicroTime: "t",
  IntOrString: "x",
  any: "*",
  object: "*",
};
const folder = join(import.meta.dirname, "../../node_modules/@kubernetes/client-node/dist/gen/models");

const shortName = (name: string): string => name.replace(/^(Core|Authentication|Rbac)?V1/, "");

function codeOf({ type, format, baseName }: Omit<Attribute, "name">, next: (model: string) => void): string {
  if (baseName === "fieldsV1") return "*";
  const list = /^Array<(.*)>$/.exec(type)?.[1];
  if (list !== undefined) return `[${codeOf({ type: list, format, baseName: "" }, next)}]`;
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (map !== undefined) return `{${codeOf({ type: map, format: "", baseName }, next)}}`;
  if (type === "string" && quantities.has(baseName)) return "x";
  if (type === "string" && format === "byte") return "s";
  if (type === "number") return format === "int32" || format === "int64" || format === "" ? "i" : "n";
  const scalar = scalars[type];
  if (scalar !== undefined) return scalar;
  // A schema holds schemas: what stands in a definition's is checked when it is compiled.
  if (type === "V1JSONSchemaProps") return "*";
  next(type);
  return shortName(type);
}

function lineOf(name: string, next: (model: string) => void): string {
  const model = (models as unknown as Record<string, Model | undefined>)[name];
  const declared = readFileSync(join(folder, `${name}.d.ts`), "utf8");
  const fields = (model?.getAttributeTypeMap() ?? []).map((attribute) => {
    const required = declared.includes(`'${attribute.name}': `) ? "!" : "";
    return `${attribute.baseName}${required}=${codeOf(attribute, next)}`;
  });
  return [shortName(name), ...fields].join(" ");
}

/** src/embedded/server/builtins/builtin-types.ts */
export function builtinTypes(): string {
  const lines = new Map<string, string>();
  const waiting = [...roots];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (!lines.has(name))
      lines.set(
        name,
        lineOf(name, (other) => waiting.push(other)),
      );
  }
  return `// Written by \`npm run gen\` from client-node's models: the fields of the built-in kinds, one line a type. Name=type; "!" is
// required; s text, i integer, n number, b boolean, t time, x integer or text, * anything, [of] list, {of} map.
export const builtinTypes = \`
${[...lines.values()].toSorted().join("\n")}
\`;
`;
}
