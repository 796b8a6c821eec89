// What the real server refuses in built-in kinds, as far as someone here would run into it.
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../../api/meta.ts";
import { parseQuantity } from "../../../lib/quantity.ts";
import type { FieldError } from "../resource.ts";
import { compileSchema } from "../schema/compile.ts";
import { isRecord, type StructuralSchema } from "../schema/structural.ts";
import { at, list, strings, text } from "./fields.ts";

const required = (field: string, why = ""): FieldError => ({
  field,
  reason: "FieldValueRequired",
  message: why ? `Required value: ${why}` : "Required value",
});
const wrong = (field: string, value: unknown, why: string): FieldError => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});

const unsupported = (field: string, value: string, supported: readonly string[]): FieldError => ({
  field,
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((one) => JSON.stringify(one)).join(", ")}`,
});

export function checkPod(pod: KubeObject): FieldError[] {
  const containers = list(pod, "spec", "containers");
  if (containers.length === 0) return [required("spec.containers")];
  const seen = new Set<string>();
  return containers.flatMap((container, index) => {
    const field = `spec.containers[${index}].name`;
    const name = text(container, "name");
    if (!name) return [required(field)];
    if (seen.has(name))
      return [{ field, reason: "FieldValueDuplicate", message: `Duplicate value: ${JSON.stringify(name)}` }];
    seen.add(name);
    return [];
  });
}

export function checkApiService(service: KubeObject): FieldError[] {
  const [group, version] = ["group", "version"].map((part) => text(service, "spec", part));
  const name = `${version}.${group}`;
  const errors: FieldError[] = [];
  if (service.metadata.name !== name)
    errors.push(wrong("metadata.name", service.metadata.name, `must be \`spec.version+"."+spec.group\`: "${name}"`));
  if (text(service, "spec", "service", "name") && text(service, "spec", "insecureSkipTLSVerify") === "true") {
    if (text(service, "spec", "caBundle"))
      errors.push(wrong("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"));
  }
  return errors;
}

/** ConfigMap and Secret: what is immutable stays, and a Secret keeps its type. */
export function checkDataObject(one: KubeObject, old?: KubeObject): FieldError[] {
  if (!old) return [];
  const errors: FieldError[] = [];
  const type = ({ type: word }: KubeObject): unknown => word ?? "Opaque";
  if (one.kind === "Secret" && type(one) !== type(old)) errors.push(wrong("type", one["type"], "field is immutable"));
  if (old["immutable"] !== true) return errors;
  const fixed = (field: string): FieldError => ({
    field,
    reason: "FieldValueForbidden",
    message: "Forbidden: field is immutable when `immutable` is set",
  });
  if (one["immutable"] !== true) errors.push(fixed("immutable"));
  for (const field of ["data", "binaryData"])
    if (!isDeepStrictEqual(one[field] ?? {}, old[field] ?? {})) errors.push(fixed(field));
  return errors;
}

export function checkClaim(claim: KubeObject, old?: KubeObject): FieldError[] {
  if (old) return checkClaimUpdate(claim, old);
  return [
    ...(strings(claim, "spec", "accessModes").length > 0
      ? []
      : [required("spec.accessModes", "at least 1 access mode is required")]),
    ...(text(claim, "spec", "resources", "requests", "storage") ? [] : [required("spec.resources[storage]")]),
  ];
}

/** Fields that may still be set: what was asked for, and what binding fills in. */
function checkClaimUpdate(claim: KubeObject, old: KubeObject): FieldError[] {
  const fixed = (one: KubeObject): object => {
    const spec = at(one, "spec");
    const { resources: _resources, volumeAttributesClassName: _class, ...rest } = isRecord(spec) ? spec : {};
    const free = ["volumeName", "storageClassName"].filter((name) => !text(old, "spec", name));
    return Object.fromEntries(
      Object.entries({ volumeMode: "Filesystem", ...rest }).filter(([name]) => !free.includes(name)),
    );
  };
  const asked = (one: KubeObject): number => parseQuantity(text(one, "spec", "resources", "requests", "storage")) ?? 0;
  const hasBytes = parseQuantity(text(old, "status", "capacity", "storage")) ?? 0;
  if (asked(claim) < asked(old) && asked(claim) < hasBytes) {
    const message = "Forbidden: field can not be less than status.capacity";
    return [{ field: "spec.resources.requests.storage", reason: "FieldValueForbidden", message }];
  }
  if (isDeepStrictEqual(fixed(claim), fixed(old))) return [];
  const message =
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
  return [{ field: "spec", reason: "FieldValueForbidden", message }];
}

export function checkDefinition(crd: KubeObject): FieldError[] {
  const group = text(crd, "spec", "group");
  const plural = text(crd, "spec", "names", "plural");
  const versions = list(crd, "spec", "versions");
  const absent = ["group", "scope", "names.plural", "names.kind"].filter(
    (path) => !text(crd, "spec", ...path.split(".")),
  );
  if (absent.length > 0) return absent.map((path) => required(`spec.${path}`));
  const scope = text(crd, "spec", "scope");
  const errors: FieldError[] = [
    ...(["Cluster", "Namespaced"].includes(scope) ? [] : [unsupported("spec.scope", scope, ["Cluster", "Namespaced"])]),
    ...(crd.metadata.name === `${plural}.${group}`
      ? []
      : [wrong("metadata.name", crd.metadata.name, 'must be spec.names.plural+"."+spec.group')]),
    ...(versions.filter(({ storage }) => storage === true).length === 1
      ? []
      : [
          wrong(
            "spec.versions",
            versions.map(({ name }) => name),
            "must have exactly one version marked as storage version",
          ),
        ]),
  ];
  for (const [index, version] of versions.entries()) {
    const field = `spec.versions[${index}].schema.openAPIV3Schema`;
    const schema = at(version, "schema", "openAPIV3Schema");
    if (!isRecord(schema)) errors.push(required(field, "schemas are required"));
    else errors.push(...checkTyped(field, schema, true), ...checkCompiles(field, schema));
  }
  return errors;
}

/** A structural schema names the type of each field. */
function checkTyped(field: string, schema: StructuralSchema, isRoot = false): FieldError[] {
  const open = schema["x-kubernetes-int-or-string"] === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  const here =
    schema.type || (open && !isRoot)
      ? []
      : [
          required(
            `${field}.type`,
            isRoot ? "must not be empty at the root" : "must not be empty for specified object fields",
          ),
        ];
  const { properties = {}, items, additionalProperties } = schema;
  return [
    ...here,
    ...Object.entries(properties).flatMap(([name, inner]) => checkTyped(`${field}.properties[${name}]`, inner)),
    ...(items ? checkTyped(`${field}.items`, items) : []),
    ...(isRecord(additionalProperties) ? checkTyped(`${field}.additionalProperties`, additionalProperties) : []),
  ];
}

function checkCompiles(field: string, schema: StructuralSchema): FieldError[] {
  try {
    compileSchema(schema);
    return [];
  } catch (cause) {
    return [wrong(field, "", cause instanceof Error ? cause.message : String(cause))];
  }
}
