// The verbs of one resource over HTTP: method and target in, answer out.
import type { IncomingMessage } from "node:http";
import { json, type Answer } from "./answers.ts";
import type { AccountTokens } from "./auth/account-tokens.ts";
import { reviewOf } from "./auth/reviews.ts";
import { requestToken } from "./auth/token-request.ts";
import type { UserInfo } from "./auth/user.ts";
import { isNotFound } from "../../kube/index.ts";
import { applyMedia, duplicatesIn, mediaOf, parseBody, readBody } from "./body.ts";
import { badRequest, methodNotAllowed, noSuchPath, notAcceptable, wrongOptions, wrongPatchOptions } from "./errors.ts";
import { isAcceptable, shapeOf, type Shape } from "./media.ts";
import { patched, patchKindOf } from "./patch/index.ts";
import { getObject, listObjects } from "./read.ts";
import { listPage } from "./page.ts";
import { deleteObject, type DeleteOptions } from "./remove.ts";
import { serveScale, type ScalePaths } from "./scale.ts";
import type { Target } from "./request.ts";
import type { Resource } from "./resource.ts";
import { isRecord } from "./schema/structural.ts";
import { partialOf, tableOf } from "./tables.ts";
import { applyObject, createObject, replaceObject, updateObject } from "./write.ts";
import type { KubeObject } from "../../api/meta.ts";
import { shownValue, type Shown, type World, type WriteContext } from "./world.ts";

interface Call {
  world: World;
  target: Target;
  tokens: AccountTokens;
  request: IncomingMessage;
  user: UserInfo;
  query: URLSearchParams;
}

export async function serveResource(call: Call): Promise<Answer> {
  const { target, request, query } = call;
  const { name, subresource, resource } = target;
  if (subresource === "token" && resource.plural === "serviceaccounts" && resource.group === "") return token(call);
  const only = resource.verbs?.every((verb) => verb === "create");
  if (only === true && (request.method !== "POST" || name !== undefined)) throw methodNotAllowed();
  if (!isAcceptable(request.headers.accept)) throw notAcceptable();
  if (subresource === "scale" && resource.scale) return scale(call, resource.scale);
  if (subresource !== undefined && !partsWritten(resource).includes(subresource)) throw noSuchPath();
  // Over all namespaces one may only look.
  const everywhere = resource.namespaced && target.namespace === undefined && request.method !== "GET";
  if (everywhere && resource.verbs === undefined) throw methodNotAllowed();
  switch (request.method) {
    case "GET":
      return name === undefined ? list(call) : shownAs(call, getObject(call.world, resource, target.namespace, name));
    case "POST":
      if (name !== undefined) throw methodNotAllowed();
      return write(
        call,
        async (body, context) => {
          const review = reviewOf({ ...call, resource, namespace: target.namespace, draft: body as KubeObject });
          if (review) return shownValue((await review) as KubeObject);
          return createObject(call.world, resource, target.namespace, body, context);
        },
        201,
      );
    case "PUT":
      return write(call, async (body, context) =>
        updateObject(call.world, resource, target.namespace, nameIn(target), body, context),
      );
    case "PATCH":
      if (mediaOf(request) === applyMedia) return apply(call);
      return write(call, async (body, context) => {
        if (query.has("force"))
          throw wrongPatchOptions(
            "force",
            "Forbidden: may not be specified for non-apply patch",
            "FieldValueForbidden",
          );
        const kind = patchKindOf(resource, mediaOf(request));
        const change = (old: Parameters<typeof patched>[0]): unknown => patched(old, kind, body);
        const patching = { ...context, patching: true };
        return replaceObject(call.world, resource, target.namespace, nameIn(target), change, patching);
      });
    case "DELETE":
      if (subresource !== undefined) throw methodNotAllowed();
      return name === undefined ? removeAll(call) : removeOne(call, name);
    default:
      throw methodNotAllowed();
  }
}

const partsWritten = (resource: Resource): string[] => [
  ...(resource.hasStatus ? ["status"] : []),
  ...(resource.apiVersion === "v1" && resource.plural === "namespaces" ? ["finalize"] : []),
];

const scale = (call: Call, paths: ScalePaths): Promise<Answer> =>
  serveScale({
    ...call,
    resource: call.target.resource,
    paths,
    namespace: call.target.namespace,
    name: nameIn(call.target),
    write: (perform) => write(call, async (body, context) => shownValue(await perform(body, context))),
  });

function nameIn({ name }: Target): string {
  if (name === undefined) throw methodNotAllowed();
  return name;
}

function shownAs({ world, target, request, query }: Call, shown: Shown, code = 200): Answer {
  const shape = shapeOf(request.headers.accept);
  if (shape.as === "object") return { code, body: shown.text };
  if (shape.as !== "Table") return json(partialOf(shown.value), code);
  const { resourceVersion } = shown.value.metadata;
  return json(tableOf(target.resource, [shown], { resourceVersion }, tableOptions(world, shape, query)), code);
}

const tableOptions = (world: World, { version }: Shape & { as: "Table" }, query: URLSearchParams) => ({
  version,
  include: query.get("includeObject") ?? undefined,
  nowMs: world.clock.now(),
});

const selectionIn = (query: URLSearchParams) => ({
  labelSelector: query.get("labelSelector") ?? undefined,
  fieldSelector: query.get("fieldSelector") ?? undefined,
});

function list({ world, target, request, query }: Call): Answer {
  const { resource, namespace } = target;
  const page = listPage(world, resource, namespace, {
    ...selectionIn(query),
    limit: numberIn(query, "limit"),
    continue: query.get("continue") ?? undefined,
    resourceVersion: query.get("resourceVersion") ?? undefined,
    resourceVersionMatch: query.get("resourceVersionMatch") ?? undefined,
  });
  const { items, revision, remainingItemCount } = page;
  const metadata = {
    resourceVersion: String(revision),
    ...(page.continue === undefined ? {} : { continue: page.continue }),
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
  };
  const shape = shapeOf(request.headers.accept);
  if (shape.as === "Table") return json(tableOf(resource, items, metadata, tableOptions(world, shape, query)));
  if (shape.as !== "object") {
    const partial = items.map(({ value }) => partialOf(value));
    return json({ kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata, items: partial });
  }
  const { listKind, apiVersion } = resource;
  const head = JSON.stringify({ kind: listKind, apiVersion, metadata });
  return { code: 200, body: `${head.slice(0, -1)},"items":[${items.map(({ text }) => text).join(",")}]}` };
}

async function write(
  call: Call,
  perform: (body: unknown, context: WriteContext) => Promise<Shown>,
  code = 200,
): Promise<Answer> {
  const { request, query, target } = call;
  const media = mediaOf(request);
  const bytes = await readBody(request);
  const body = parseBody(media, bytes);
  if (body === undefined) throw badRequest("the request has no body");
  const warnings: string[] = [];
  const fieldValidation = fieldValidationIn(query, optionsOf(request));
  const shown = await perform(body, {
    user: call.user,
    manager: managerIn(call),
    complaints: fieldValidation === "Ignore" ? [] : duplicatesIn(media, bytes),
    ...(target.subresource === "status" || target.subresource === "finalize"
      ? { subresource: target.subresource }
      : {}),
    dryRun: isDryRun(query.getAll("dryRun"), optionsOf(request)),
    fieldValidation,
    warn: (text) => warnings.push(text),
  });
  return { ...shownAs(call, shown, code), warnings };
}

const longestManager = 128;

/** The manager named, else the program's name as the agent tells it. @throws ApiError 422 */
function managerIn({ query, request }: Call): string {
  const named = query.get("fieldManager") ?? "";
  if (Buffer.byteLength(named) > longestManager) {
    throw wrongPatchOptions(
      "fieldManager",
      `Too long: may not be more than ${longestManager} bytes`,
      "FieldValueTooLong",
    );
  }
  const agent = (request.headers["user-agent"] ?? "").split("/")[0] ?? "";
  return named || agent.replaceAll(/[^\x20-\x7e]/g, "").slice(0, longestManager) || "unknown";
}

async function apply(call: Call): Promise<Answer> {
  const { world, target, query } = call;
  let created = false;
  const answer = await write(call, async (body, context) => {
    if (!query.get("fieldManager")) {
      throw wrongPatchOptions("fieldManager", "Required value: is required for apply patch", "FieldValueRequired");
    }
    const { complaints = [], fieldValidation, warn } = context;
    if (complaints.length > 0 && fieldValidation === "Strict")
      throw badRequest(`error strict decoding YAML: ${complaints.join(", ")}`);
    for (const text of complaints) warn?.(text);
    const force = query.get("force") === "true";
    const { resource, namespace } = target;
    const done = await applyObject(world, resource, namespace, nameIn(target), body, { ...context, force });
    created = done.created;
    return done.shown;
  });
  return created ? { ...answer, code: 201 } : answer;
}

async function token({ world, tokens, target, request, query }: Call): Promise<Answer> {
  const { namespace = "", name = "" } = target;
  if (request.method !== "POST") throw methodNotAllowed();
  const body = parseBody(mediaOf(request), await readBody(request));
  return json(
    await requestToken(world, tokens, {
      namespace,
      name,
      body,
      dryRun: isDryRun(query.getAll("dryRun"), "CreateOptions"),
    }),
    201,
  );
}

const optionsOf = ({ method }: IncomingMessage): string =>
  ({ POST: "CreateOptions", PUT: "UpdateOptions", PATCH: "PatchOptions" })[method ?? ""] ?? "DeleteOptions";

const unsupported = (value: string, supported: readonly string[]): string =>
  `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((one) => JSON.stringify(one)).join(", ")}`;

/** @throws ApiError 422 */
function isDryRun(values: readonly string[], options: string): boolean {
  const unknown = values.find((value) => value !== "All" && value !== "");
  if (unknown !== undefined)
    throw wrongOptions(options, "dryRun", unsupported(unknown, ["All"]), "FieldValueNotSupported");
  return values.includes("All");
}

const validations = ["Ignore", "Strict", "Warn"] as const;

/** @throws ApiError 422 */
function fieldValidationIn(query: URLSearchParams, options: string): "Ignore" | "Warn" | "Strict" {
  const text = query.get("fieldValidation") || "Warn";
  const known = validations.find((one) => one === text);
  if (known === undefined)
    throw wrongOptions(options, "fieldValidation", unsupported(text, validations), "FieldValueNotSupported");
  return known;
}

/** @throws ApiError 400 */
function numberIn(query: URLSearchParams, name: string): number {
  const text = query.get(name) || "0";
  if (!/^-?\d+$/.test(text)) throw badRequest(`invalid ${name} ${JSON.stringify(text)}: a whole number is expected`);
  return Number(text);
}

/** Options come in the query or in a body; the body wins. */
async function deleteOptions({ request, query }: Call): Promise<DeleteOptions> {
  const body = parseBody(mediaOf(request), await readBody(request));
  const sent = isRecord(body) ? (body as DeleteOptions & { dryRun?: unknown; orphanDependents?: boolean }) : {};
  const grace =
    sent.gracePeriodSeconds ?? (query.has("gracePeriodSeconds") ? Number(query.get("gracePeriodSeconds")) : undefined);
  const policy =
    sent.propagationPolicy ?? query.get("propagationPolicy") ?? (sent.orphanDependents ? "Orphan" : undefined);
  const dryRun = isDryRun(
    [...query.getAll("dryRun"), ...(Array.isArray(sent.dryRun) ? (sent.dryRun as string[]) : [])],
    "DeleteOptions",
  );
  if (policy !== undefined && policy !== "Background" && policy !== "Foreground" && policy !== "Orphan") {
    const why = unsupported(policy, ["Background", "Foreground", "Orphan"]);
    throw wrongOptions("DeleteOptions", "propagationPolicy", why, "FieldValueNotSupported");
  }
  if (sent.propagationPolicy !== undefined && sent.orphanDependents !== undefined) {
    const why = `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`;
    throw wrongOptions("DeleteOptions", "propagationPolicy", why, "FieldValueInvalid");
  }
  return {
    ...(grace === undefined || grace === null || Number.isNaN(grace) ? {} : { gracePeriodSeconds: grace }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(sent.preconditions ? { preconditions: sent.preconditions } : {}),
    dryRun,
  };
}

async function removeOne(call: Call, name: string): Promise<Answer> {
  const { resource, namespace } = call.target;
  const { left, uid } = await deleteObject(call.world, resource, namespace, name, await deleteOptions(call));
  if (left) return { code: 200, body: left.text };
  const details = { name, ...(resource.group ? { group: resource.group } : {}), kind: resource.plural, uid };
  return json({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
}

async function removeAll(call: Call): Promise<Answer> {
  const { world, target, query } = call;
  const { resource, namespace } = target;
  const options = await deleteOptions(call);
  const { items } = listObjects(world, resource, namespace, selectionIn(query));
  await Promise.all(
    items.map(async ({ value: { metadata } }) =>
      deleteObject(world, resource, metadata.namespace, metadata.name ?? "", options).catch((cause: unknown) => {
        // Someone else was faster, with the same end.
        if (!isNotFound(cause)) throw cause;
      }),
    ),
  );
  const head = {
    kind: resource.listKind,
    apiVersion: resource.apiVersion,
    metadata: { resourceVersion: String(world.store.revision) },
  };
  return json({ ...head, items: items.map(({ value }) => value) });
}
