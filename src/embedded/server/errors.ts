// Refusals, with the words of apimachinery's api/errors: clients match on reason and code, people read the message.
import { KubeError } from "../../kube/index.ts";
import { groupResource, type FieldError, type Resource } from "./resource.ts";

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: { reason?: string; message: string; field?: string }[];
  retryAfterSeconds?: number;
}

export class ApiError extends KubeError {
  readonly details: StatusDetails | undefined;
  /** metav1.ListMeta of the Status: a list that went stale says how to go on. */
  readonly metadata: { continue?: string };
  constructor(
    code: number,
    reason: string,
    message: string,
    details?: StatusDetails,
    metadata: { continue?: string } = {},
  ) {
    super(code, reason, message);
    this.details = details;
    this.metadata = metadata;
  }
}

/** metav1.Status. An error that is no refusal of ours is an internal one; its text stays in the log. */
export function statusOf(error: unknown): { code: number; body: object } {
  const known =
    error instanceof KubeError
      ? error
      : new ApiError(500, "InternalError", "Internal error occurred: see the server's log");
  const details = known instanceof ApiError ? known.details : undefined;
  const body = {
    kind: "Status",
    apiVersion: "v1",
    metadata: known instanceof ApiError ? known.metadata : {},
    status: "Failure",
    message: known.message,
    ...(known.reason ? { reason: known.reason } : {}),
    ...(details ? { details } : {}),
    code: known.status,
  };
  return { code: known.status, body };
}

type Named = Pick<Resource, "group" | "kind" | "plural">;
const about = (resource: Named, name: string): StatusDetails => ({
  name,
  ...(resource.group ? { group: resource.group } : {}),
  kind: resource.plural,
});

export const notFound = (resource: Resource, name: string): ApiError =>
  new ApiError(404, "NotFound", `${groupResource(resource)} "${name}" not found`, about(resource, name));
export const alreadyExists = (resource: Resource, name: string): ApiError =>
  new ApiError(409, "AlreadyExists", `${groupResource(resource)} "${name}" already exists`, about(resource, name));
export const conflict = (resource: Resource, name: string, why?: string): ApiError =>
  new ApiError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${groupResource(resource)} "${name}": ${why ?? "the object has been modified; please apply your changes to the latest version and try again"}`,
    about(resource, name),
  );
export const forbidden = (resource: Resource, name: string, why: string, causes?: StatusDetails["causes"]): ApiError =>
  new ApiError(403, "Forbidden", `${groupResource(resource)} "${name}" is forbidden: ${why}`, {
    ...about(resource, name),
    ...(causes ? { causes } : {}),
  });
/** The 403 of authorization, which knows resources by name only. */
export const forbiddenAttributes = (
  { group, resource, name }: { group?: string; resource?: string; name?: string },
  why: string,
): ApiError => {
  const what = resource
    ? `${group ? `${resource}.${group}` : resource}${name ? ` ${JSON.stringify(name)}` : ""} is `
    : "";
  return new ApiError(403, "Forbidden", `${what}forbidden: ${why}`, {
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
    ...(resource ? { kind: resource } : {}),
  });
};
export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);
export const unauthorized = (): ApiError => new ApiError(401, "Unauthorized", "Unauthorized");
export const noSuchPath = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource");
export const notAcceptable = (): ApiError =>
  new ApiError(
    406,
    "NotAcceptable",
    "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  );
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
export const tooLarge = (limitBytes: number): ApiError =>
  new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limitBytes}`);
export const unsupportedMedia = (accepted: readonly string[]): ApiError =>
  new ApiError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
export const expired = (asked: number, oldest: number): ApiError =>
  new ApiError(410, "Expired", `too old resource version: ${asked} (${oldest})`);

export const wrongOptions = (kind: string, field: string, why: string, reason: string): ApiError =>
  new ApiError(422, "Invalid", `${kind}.meta.k8s.io "" is invalid: ${field}: ${why}`, {
    group: "meta.k8s.io",
    kind,
    causes: [{ reason, message: why, field }],
  });
export const wrongPatchOptions = (field: string, why: string, reason: string): ApiError =>
  wrongOptions("PatchOptions", field, why, reason);
export const wrongListOptions = (field: string, why: string, reason: string): ApiError =>
  wrongOptions("ListOptions", field, why, reason);

/** 422 with one cause a complaint. */
export function invalid(resource: Named, name: string, errors: readonly FieldError[]): ApiError {
  const texts = errors.map(({ field, message }) => `${field}: ${message}`);
  const shown = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const kind = resource.group ? `${resource.kind}.${resource.group}` : resource.kind;
  return new ApiError(422, "Invalid", `${kind} "${name}" is invalid: ${shown}`, {
    ...about(resource, name),
    kind: resource.kind,
    causes: errors.map(({ field, reason, message }) => ({ reason, message, field })),
  });
}
