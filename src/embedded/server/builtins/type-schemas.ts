// The built-in kinds' types as structural schemas, made from the generated table when first asked for: what is a field, of
// what type, and how lists and maps are merged. Source of the latter: the listType and mapType tags of k8s.io/api.
import type { StructuralSchema } from "../schema/structural.ts";
import { listRule } from "../patch/merge-keys.ts";
import { builtinTypes } from "./builtin-types.ts";

const mapLists: Readonly<Record<string, readonly string[]>> = {
  "PodSpec.containers": ["name"],
  "PodSpec.initContainers": ["name"],
  "PodSpec.ephemeralContainers": ["name"],
  "PodSpec.volumes": ["name"],
  "PodSpec.imagePullSecrets": ["name"],
  "PodSpec.hostAliases": ["ip"],
  "PodSpec.topologySpreadConstraints": ["topologyKey", "whenUnsatisfiable"],
  "PodSpec.resourceClaims": ["name"],
  "PodSpec.schedulingGates": ["name"],
  "PodStatus.podIPs": ["ip"],
  "NodeStatus.addresses": ["type"],
  "ServiceSpec.ports": ["port", "protocol"],
  "ServiceAccount.secrets": ["name"],
  "ObjectMeta.ownerReferences": ["uid"],
};
for (const name of ["Container", "EphemeralContainer"]) {
  Object.assign(mapLists, {
    [`${name}.env`]: ["name"],
    [`${name}.ports`]: ["containerPort", "protocol"],
    [`${name}.volumeMounts`]: ["mountPath"],
    [`${name}.volumeDevices`]: ["devicePath"],
  });
}
const sets = new Set(["ObjectMeta.finalizers", "NodeSpec.podCIDRs"]);
const atomicTypes = new Set(
  (
    "ObjectReference LocalObjectReference SecretKeySelector ConfigMapKeySelector LabelSelector NodeSelector " +
    "NodeSelectorTerm ObjectFieldSelector ResourceFieldSelector SecretReference TypedLocalObjectReference RoleRef Subject " +
    "TopologySelectorTerm"
  ).split(" "),
);
const atomicFields = new Set(["ServiceSpec.selector", "PodSpec.nodeSelector"]);
/** Keys of lists that may be left out. */
const keyDefaults: Readonly<Record<string, unknown>> = {
  "ContainerPort.protocol": "TCP",
  "ServicePort.protocol": "TCP",
};

const scalars: Readonly<Record<string, StructuralSchema>> = {
  s: { type: "string" },
  i: { type: "integer" },
  n: { type: "number" },
  b: { type: "boolean" },
  t: { type: "string", format: "date-time" },
  x: { "x-kubernetes-int-or-string": true },
  "*": { "x-kubernetes-preserve-unknown-fields": true },
};

const lines = new Map(
  builtinTypes
    .trim()
    .split("\n")
    .map((line) => [line.slice(0, line.search(/ |$/)), line] as const),
);
const made = new Map<string, StructuralSchema>();
const names = new WeakMap<object, string>();

/** The name under which a schema stands in the table; undefined for all others. */
export const typeName = (schema: StructuralSchema): string | undefined => names.get(schema);

/** @throws Error for a name that is not in the table */
export function typeSchema(name: string): StructuralSchema {
  const known = made.get(name);
  if (known) return known;
  const line = lines.get(name);
  if (line === undefined) throw new Error(`${name} is no built-in type`);
  const properties: Record<string, StructuralSchema> = {};
  const required: string[] = [];
  for (const word of line.split(" ").slice(1)) {
    const [field = "", code = ""] = word.split("=");
    const plain = field.replace("!", "");
    if (plain !== field) required.push(plain);
    properties[plain] = fieldSchema(name, plain, code);
  }
  const schema: StructuralSchema = {
    type: "object",
    properties,
    ...(required.length > 0 ? { required } : {}),
    ...(atomicTypes.has(name) ? { "x-kubernetes-map-type": "atomic" } : {}),
  };
  made.set(name, schema);
  names.set(schema, name);
  return schema;
}

function fieldSchema(owner: string, field: string, code: string): StructuralSchema {
  const path = `${owner}.${field}`;
  const schema = codeSchema(code);
  if (schema.type === "array") {
    const parent = owner === "ObjectMeta" ? "metadata" : owner.endsWith("Spec") ? "spec" : "";
    const rule = listRule(parent, field);
    const strategic: object =
      rule === undefined
        ? {}
        : {
            "x-kubernetes-patch-strategy": "merge",
            ...(rule === "set" ? {} : { "x-kubernetes-patch-merge-key": rule.key }),
          };
    const keys = mapLists[path] ?? (field === "conditions" ? ["type"] : undefined);
    if (keys)
      return { ...schema, ...strategic, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [...keys] };
    return { ...schema, ...strategic, "x-kubernetes-list-type": sets.has(path) ? "set" : "atomic" };
  }
  if (atomicFields.has(path)) return { ...schema, "x-kubernetes-map-type": "atomic" };
  const byDefault = keyDefaults[path];
  return byDefault === undefined ? schema : { ...schema, default: byDefault };
}

function codeSchema(code: string): StructuralSchema {
  const scalar = scalars[code];
  if (scalar) return scalar;
  if (code.startsWith("[")) return { type: "array", items: codeSchema(code.slice(1, -1)) };
  if (code.startsWith("{")) return { type: "object", additionalProperties: codeSchema(code.slice(1, -1)) };
  return typeSchema(code);
}

export const metaSchema: StructuralSchema = typeSchema("ObjectMeta");
