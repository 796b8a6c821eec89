// The gates a write passes before it is stored: unknown fields, defaults, schema, and the admission hooks.
import type { KubeObject } from "../../api/meta.ts";
import type { AdmissionReader, Cause } from "../types.ts";
import { ApiError, badRequest, invalid } from "./errors.ts";
import { decodeBuiltin, type Decoded } from "./schema/decode-built-in.ts";
import { metaSchema } from "./builtins/type-schemas.ts";
import { keyFor, type Resource } from "./resource.ts";
import { valueOf, type World, type WriteContext } from "./world.ts";

/** Drops what the kind does not know and tells of it; changes `draft`. @throws ApiError 400 and, for a patch, 422 */
export function passDecoding(resource: Resource, draft: KubeObject, context: WriteContext): void {
  const { fieldValidation = "Warn", warn, complaints = [], patching } = context;
  const { kind, version, typed, schema } = resource;
  const meta = decodeBuiltin(draft.metadata, metaSchema, "ObjectMeta", "metadata");
  const body: Decoded = schema ? { unknown: schema.prune(draft) } : decodeBuiltin(draft, typed, kind);
  const cannot = `${kind} in version "${version}" cannot be handled as a ${kind}`;
  const wrong = body.wrong ?? meta.wrong;
  if (wrong !== undefined) throw badRequest(`${cannot}: ${wrong}`);
  const unknown = [...new Set([...meta.unknown, ...body.unknown])].map((path) => `unknown field "${path}"`);
  const found = [...complaints, ...unknown];
  if (found.length === 0 || fieldValidation === "Ignore") return;
  if (fieldValidation === "Warn") return found.forEach((text) => warn?.(text));
  const strict = `strict decoding error: ${found.join(", ")}`;
  if (!patching) throw badRequest(`${cannot}: ${strict}`);
  const message = `Invalid value: ${JSON.stringify(draft)}: ${strict}`;
  throw invalid(resource, draft.metadata.name ?? "", [{ field: "patch", reason: "FieldValueInvalid", message }]);
}

/** Fills defaults and validates; changes `draft`. @throws ApiError 422 */
export function passSchema(resource: Resource, draft: KubeObject, old?: KubeObject): void {
  const { schema } = resource;
  if (!schema) return;
  schema.fillDefaults(draft);
  const errors = schema.validate(draft, old);
  if (errors.length > 0) throw invalid(resource, draft.metadata.name ?? "", errors);
}

/** Asks the hooks; the answer reads as the real server's when a webhook denies. @throws ApiError 422 */
export function passAdmission(
  world: World,
  resource: Resource,
  operation: "CREATE" | "UPDATE" | "DELETE",
  object: KubeObject,
  oldObject?: KubeObject,
): void {
  if (world.admission.length === 0) return;
  const read: AdmissionReader = {
    get(kind, name, namespace) {
      const target = world.registry.find(kind.apiVersion, kind.plural);
      const row = target && world.store.get(keyFor(target, namespace, name));
      return row && valueOf(row);
    },
  };
  const { apiVersion, kind, plural, namespaced } = resource;
  const request = {
    operation,
    kind: { apiVersion, kind, plural, namespaced },
    object,
    ...(oldObject ? { oldObject } : {}),
  };
  for (const hook of world.admission) {
    const causes = hook(request, read);
    if (causes.length > 0) throw denied(resource, object, causes);
  }
}

function denied(resource: Resource, object: KubeObject, causes: readonly Cause[]): ApiError {
  const webhook = `${resource.singular}-validate.${resource.group || "kubernetes.io"}`;
  const message = causes.map((cause) => ` ${cause.message}`).join("");
  return new ApiError(422, "", `admission webhook "${webhook}" denied the request: ${message}`, {
    name: object.metadata.name ?? "",
    causes: causes.map(({ type, message: text, field }) => ({ reason: type, message: text, field })),
  });
}
