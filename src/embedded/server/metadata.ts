// Checks on metadata that all kinds share. Source: apimachinery validation of names, labels and annotations.
import { copyJson } from "../../lib/copy-json.ts";
import { isDeepStrictEqual } from "node:util";
import type { KubeObject, ObjectMeta } from "../../api/meta.ts";
import { badRequest, conflict, invalid } from "./errors.ts";
import type { FieldError, Resource } from "./resource.ts";
import { isRecord } from "./schema/structural.ts";

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const labelName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const annotationsLimitBytes = 256 * 1024;

/**
 * The object as sent, as a draft the server may change: kind and place are the request's.
 * @throws ApiError 400 when the body is for another kind, name or namespace
 */
export function draftOf(resource: Resource, body: unknown, namespace: string | undefined, name?: string): KubeObject {
  if (!isRecord(body)) throw badRequest("the body is no object");
  const draft = copyJson(body) as KubeObject;
  draft.apiVersion ??= resource.apiVersion;
  draft.kind ??= resource.kind;
  if (draft.apiVersion !== resource.apiVersion || draft.kind !== resource.kind) {
    const expected = `${resource.apiVersion}, Kind=${resource.kind}`;
    throw badRequest(`the object provided is ${draft.apiVersion}, Kind=${draft.kind}, expected ${expected}`);
  }
  if (!isRecord(draft.metadata)) draft.metadata = {};
  const { metadata } = draft;
  for (const [field, value] of Object.entries(metadata))
    if (value === null) delete (metadata as Record<string, unknown>)[field];
  checkShapes(metadata);
  if (resource.namespaced) {
    metadata.namespace ??= namespace ?? "default";
    if (namespace !== undefined && metadata.namespace !== namespace) {
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    }
  } else delete metadata.namespace;
  if (name !== undefined) {
    metadata.name ??= name;
    if (metadata.name !== name)
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  return draft;
}

const maps = ["labels", "annotations"] as const;
const lists = ["finalizers", "ownerReferences"] as const;
const plain = ["name", "generateName", "namespace", "uid", "resourceVersion"] as const;

/** @throws ApiError 400 where the real server could not decode */
function checkShapes(metadata: ObjectMeta): void {
  const bad = [
    ...maps.filter((field) => metadata[field] !== undefined && !isRecord(metadata[field])),
    ...lists.filter((field) => metadata[field] !== undefined && !Array.isArray(metadata[field])),
    ...plain.filter((field) => metadata[field] !== undefined && typeof metadata[field] !== "string"),
    ...(metadata.ownerReferences?.every(isRecord) === false ? ["ownerReferences"] : []),
    ...(metadata.finalizers?.every((one) => typeof one === "string") === false ? ["finalizers"] : []),
  ];
  if (bad.length > 0) throw badRequest(`metadata cannot be decoded: wrong type of ${bad.join(", ")}`);
}

/** @throws ApiError 422 */
export function checkMetadata(resource: Resource, { metadata }: KubeObject): void {
  const errors = [...checkName(resource, metadata.name ?? ""), ...checkLabels(metadata), ...checkAnnotations(metadata)];
  for (const [at, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const field of ["apiVersion", "kind", "name", "uid"] as const) {
      if (!owner[field]) {
        const path = `metadata.ownerReferences[${at}].${field}`;
        errors.push({
          field: path,
          reason: "FieldValueInvalid",
          message: `Invalid value: "": ${field} must not be empty`,
        });
      }
    }
  }
  if (!resource.custom && !extensionGroups.includes(resource.group)) errors.push(...checkFinalizers(metadata));
  if (errors.length > 0) throw invalid(resource, metadata.name ?? "", errors);
}

/** Their servers are not the core's, and laxer. */
const extensionGroups = ["apiextensions.k8s.io", "apiregistration.k8s.io"];
const standardFinalizers = ["kubernetes", "orphan", "foregroundDeletion"];

function checkFinalizers({ finalizers = [] }: ObjectMeta): FieldError[] {
  return finalizers.flatMap((name, at): FieldError[] => {
    if (name.includes("/") || standardFinalizers.includes(name)) return [];
    const message = `Invalid value: ${JSON.stringify(name)}: name is neither a standard finalizer name nor is it fully qualified`;
    return [{ field: `metadata.finalizers[${at}]`, reason: "FieldValueInvalid", message }];
  });
}

function checkName(resource: Resource, name: string): FieldError[] {
  if (name === "") {
    const message = "Required value: name or generateName is required";
    return [{ field: "metadata.name", reason: "FieldValueRequired", message }];
  }
  if (resource.nameRule === "path") return checkPathName(name);
  const short = resource.nameRule === "label";
  if ((short ? label : subdomain).test(name) && name.length <= (short ? 63 : 253)) return [];
  const rule = short
    ? "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
  const why = name.length > (short ? 63 : 253) ? `must be no more than ${short ? 63 : 253} characters` : rule;
  return [
    { field: "metadata.name", reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(name)}: ${why}` },
  ];
}

/** A name that only has to be a word of a path. */
function checkPathName(name: string): FieldError[] {
  const why =
    name === "." || name === ".."
      ? `may not be '${name}'`
      : ["/", "%"].filter((sign) => name.includes(sign)).map((sign) => `may not contain '${sign}'`)[0];
  if (why === undefined) return [];
  return [
    { field: "metadata.name", reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(name)}: ${why}` },
  ];
}

function isQualifiedName(key: string): boolean {
  const [name = "", prefix, ...more] = key.split("/").toReversed();
  const prefixOk = prefix === undefined || (subdomain.test(prefix.toLowerCase()) && prefix.length <= 253);
  return more.length === 0 && prefixOk && labelName.test(name) && name.length <= 63;
}

function checkLabels({ labels = {} }: ObjectMeta): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]): FieldError[] => {
    const complain = (what: unknown, why: string): FieldError => ({
      field: "metadata.labels",
      reason: "FieldValueInvalid",
      message: `Invalid value: ${JSON.stringify(what)}: ${why}`,
    });
    if (!isQualifiedName(key)) {
      return [
        complain(
          key,
          "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
      ];
    }
    if (typeof value !== "string" || value.length > 63 || (value !== "" && !labelName.test(value))) {
      return [
        complain(
          value,
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
      ];
    }
    return [];
  });
}

function checkAnnotations({ annotations = {} }: ObjectMeta): FieldError[] {
  const field = "metadata.annotations";
  const errors = Object.entries(annotations).flatMap(([key, value]): FieldError[] =>
    isQualifiedName(key) && typeof value === "string"
      ? []
      : [
          {
            field,
            reason: "FieldValueInvalid",
            message: `Invalid value: ${JSON.stringify(key)}: a qualified name with a text is expected`,
          },
        ],
  );
  const size = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + String(value).length, 0);
  if (size > annotationsLimitBytes) {
    errors.push({
      field,
      reason: "FieldValueTooLong",
      message: `Too long: may not be more than ${annotationsLimitBytes} bytes`,
    });
  }
  return errors;
}

/** Preconditions of a replacement. @throws ApiError 409 */
export function checkPreconditions(resource: Resource, draft: KubeObject, old: KubeObject): void {
  const name = old.metadata.name ?? "";
  const { resourceVersion, uid } = draft.metadata;
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(resource, name);
  if (uid && uid !== old.metadata.uid) {
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
}

const serverFields = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "generateName",
] as const;

/** Puts back what only the server writes. @throws ApiError 422 for a new finalizer on an object under deletion */
export function keepServerFields(resource: Resource, draft: KubeObject, old: KubeObject): void {
  const fields = draft.metadata as Record<string, unknown>;
  for (const field of serverFields) {
    if (old.metadata[field] === undefined) delete fields[field];
    else fields[field] = old.metadata[field];
  }
  if (old.metadata.deletionTimestamp === undefined) return;
  const added = (draft.metadata.finalizers ?? []).filter((one) => !old.metadata.finalizers?.includes(one));
  if (added.length === 0) return;
  const shown = added.map((one) => JSON.stringify(one)).join(", ");
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${shown}}`;
  throw invalid(resource, old.metadata.name ?? "", [
    { field: "metadata.finalizers", reason: "FieldValueForbidden", message },
  ]);
}

const bare = ({ metadata, ...rest }: KubeObject): object => {
  const { resourceVersion: _version, generation: _generation, ...kept } = metadata;
  return { ...rest, metadata: kept };
};
export const sameContent = (a: KubeObject, b: KubeObject): boolean => isDeepStrictEqual(bare(a), bare(b));

/** Whether a change counts as one of the specification: anything but metadata, and status where that has its own road. */
export function specChanged(resource: Resource, draft: KubeObject, old: KubeObject): boolean {
  const spec = ({ metadata: _metadata, status, ...rest }: KubeObject): object =>
    resource.hasStatus ? rest : { ...rest, status };
  return !isDeepStrictEqual(spec(draft), spec(old));
}
