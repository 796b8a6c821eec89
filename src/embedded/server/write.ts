// Create and replace. All checks run in one turn with the write, so that nothing can come in between: the store's
// expectation is a belt to these braces.
import { copyJson } from "../../lib/copy-json.ts";
import { randomUUID } from "node:crypto";
import { stamp } from "../../lib/clock.ts";
import { kinds } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/meta.ts";
import { passEscalation } from "./auth/escalation.ts";
import { systemUser } from "./auth/user.ts";
import { strings } from "./builtins/fields.ts";
import { passClaimResize } from "./claim-resize.ts";
import { passNames } from "./crd-names.ts";
import { passAdmission, passDecoding, passSchema } from "./admit.ts";
import { randomSuffix } from "./builtins/pod-defaults.ts";
import { alreadyExists, ApiError, badRequest, conflict, forbidden, invalid, notFound } from "./errors.ts";
import { checkMetadata, checkPreconditions, draftOf, keepServerFields, sameContent, specChanged } from "./metadata.ts";
import { applyConfig, trackUpdate, type Writer } from "./fields/manage.ts";
import { passQuota } from "./quota/pass.ts";
import { builtinOf } from "./registry.ts";
import { groupResource, keyFor, type Resource } from "./resource.ts";
import { isRecord } from "./schema/structural.ts";
import { inVersion, shownRow, shownValue, valueOf, type Shown, type World, type WriteContext } from "./world.ts";

/** Tries for a free name behind generateName. */
const nameTries = 8;
const namespaces = builtinOf(kinds.namespace);
const definitions = builtinOf(kinds.crd);

/** @throws ApiError 400, 403, 404 (namespace), 409, 422 */
export async function createObject(
  world: World,
  resource: Resource,
  namespace: string | undefined,
  body: unknown,
  context: WriteContext = {},
): Promise<Shown> {
  const draft = draftOf(resource, body, namespace);
  const { metadata } = draft;
  if (metadata.resourceVersion)
    throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
  if (!context.tracked) passDecoding(resource, draft, context);
  const key = nameNew(world, resource, draft);
  passNamespace(world, resource, draft);
  passDefinition(world, resource);
  metadata.uid = randomUUID();
  metadata.creationTimestamp = stamp(world.clock.now());
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
  if (resource.hasGeneration) metadata.generation = 1;
  if (resource.custom && resource.hasStatus) delete draft["status"];
  passCheck(resource, draft);
  resource.prepareCreate?.(draft);
  if (resource.kind === kinds.crd.kind) passNames(world, draft);
  passSchema(resource, draft);
  checkMetadata(resource, draft);
  passEscalation(world, context.user ?? systemUser, resource, draft);
  passAdmission(world, resource, "CREATE", draft);
  passQuota(world, resource, draft);
  if (!context.tracked) trackUpdate(resource, draft, undefined, writerOf(world, context));
  if (world.store.get(key)) throw alreadyExists(resource, metadata.name ?? "");
  if (context.dryRun) return shownValue(draft);
  return shownRow(await world.store.put(key, (revision) => versioned(draft, revision), { ifRevision: 0 }));
}

function nameNew(world: World, resource: Resource, { metadata }: KubeObject): string {
  const { generateName } = metadata;
  if (metadata.name || !generateName) return keyFor(resource, metadata.namespace, metadata.name ?? "");
  for (let tries = 0; ; tries += 1) {
    metadata.name = `${generateName.slice(0, 58)}${randomSuffix()}`;
    const key = keyFor(resource, metadata.namespace, metadata.name);
    if (!world.store.get(key) || tries === nameTries) return key;
  }
}

/** @throws ApiError 404 without the namespace, 403 while it is being deleted */
function passNamespace(world: World, resource: Resource, { metadata }: KubeObject): void {
  if (!resource.namespaced) return;
  const { name = "", namespace = "" } = metadata;
  const row = world.store.get(keyFor(namespaces, undefined, namespace));
  if (!row) throw notFound(namespaces, namespace);
  if (valueOf(row).metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const message = `namespace ${namespace} is being terminated`;
  throw forbidden(resource, name, why, [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }]);
}

/** A definition under deletion waits for its objects to go: no new ones meanwhile. @throws ApiError 405 */
function passDefinition(world: World, resource: Resource): void {
  if (!resource.custom) return;
  const row = world.store.get(keyFor(definitions, undefined, groupResource(resource)));
  if (!row || valueOf(row).metadata.deletionTimestamp === undefined) return;
  const message = "create not allowed while custom resource definition is terminating";
  throw new ApiError(405, "MethodNotAllowed", message);
}

/** @throws ApiError 422 */
function passCheck(resource: Resource, draft: KubeObject, old?: KubeObject): void {
  const errors = resource.check?.(draft, old) ?? [];
  if (errors.length > 0) throw invalid(resource, draft.metadata.name ?? "", errors);
}

const versioned = (draft: KubeObject, revision: number): KubeObject => {
  draft.metadata.resourceVersion = String(revision);
  return draft;
};

/**
 * Replaces an object by what `change` makes of it. Nothing is written, and nobody is told, when nothing changed.
 * @throws ApiError 400, 404, 409, 422
 */
export async function replaceObject(
  world: World,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  change: (old: KubeObject) => unknown,
  context: WriteContext = {},
): Promise<Shown> {
  const key = keyFor(resource, namespace, name);
  const row = world.store.get(key);
  if (!row) throw notFound(resource, name);
  const old = inVersion(resource, valueOf(row));
  const draft = replacement(resource, draftOf(resource, change(old), namespace, name), old, context);
  if (!context.tracked) trackUpdate(resource, draft, old, writerOf(world, context));
  passEscalation(world, context.user ?? systemUser, resource, draft, old);
  if (context.subresource === undefined) {
    passAdmission(world, resource, "UPDATE", draft, old);
    passClaimResize(world, resource, draft, old);
    passQuota(world, resource, draft, old);
  }
  if (sameContent(draft, old)) return shownRow(row);
  if (resource.hasGeneration && context.subresource === undefined && specChanged(resource, draft, old)) {
    draft.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
  if (context.dryRun) return shownValue(draft);
  if (isReleased(draft) && !isReleased(old)) {
    const removed = await world.store.remove(key, { ifRevision: row.revision });
    return shownValue(versioned(draft, removed?.revision ?? row.revision));
  }
  return shownRow(await world.store.put(key, (revision) => versioned(draft, revision), { ifRevision: row.revision }));
}

/** A PUT: what was seen is the precondition, and custom resources must say what they saw. */
export const updateObject = (
  world: World,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  body: unknown,
  context: WriteContext = {},
): Promise<Shown> =>
  replaceObject(
    world,
    resource,
    namespace,
    name,
    () => {
      const { metadata } = draftOf(resource, body, namespace, name);
      if (resource.custom && !metadata.resourceVersion) {
        const message = `Invalid value: 0x0: must be specified for an update`;
        throw invalid(resource, name, [{ field: "metadata.resourceVersion", reason: "FieldValueInvalid", message }]);
      }
      return body;
    },
    context,
  );

const writerOf = (world: World, { manager = "cdi-embedded", subresource }: WriteContext): Writer => ({
  manager,
  subresource,
  now: stamp(world.clock.now()),
});

/**
 * Server-side apply: creates what is not there, else lays the configuration over it.
 * @throws ApiError 400, 404, 409 for other owners' fields unless `force`, 422
 */
export async function applyObject(
  world: World,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  body: unknown,
  context: WriteContext & { readonly force: boolean },
): Promise<{ shown: Shown; created: boolean }> {
  const config = withoutNulls(draftOf(resource, body, namespace, name)) as KubeObject;
  if (config.metadata.managedFields !== undefined) throw badRequest("metadata.managedFields must be nil");
  const writer = { ...writerOf(world, context), force: context.force };
  const tracked = { ...context, tracked: true };
  if (world.store.get(keyFor(resource, namespace, name))) {
    const change = (old: KubeObject): KubeObject => applyConfig(resource, old, config, writer);
    return { shown: await replaceObject(world, resource, namespace, name, change, tracked), created: false };
  }
  if (context.subresource !== undefined) throw notFound(resource, name);
  if (config.metadata.uid) {
    const why = `uid mismatch: the provided object specified uid ${config.metadata.uid}, and no existing object was found`;
    throw conflict(resource, name, why);
  }
  const fresh = applyConfig(resource, undefined, config, writer);
  return { shown: await createObject(world, resource, namespace, fresh, tracked), created: true };
}

const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return (value as unknown[]).map(withoutNulls);
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([field, inner]) => [field, withoutNulls(inner)]));
};

/** The draft of the part this request may write; the rest stays as it was. */
function replacement(resource: Resource, sent: KubeObject, old: KubeObject, context: WriteContext): KubeObject {
  if (!context.tracked) passDecoding(resource, sent, context);
  checkPreconditions(resource, sent, old);
  let draft = sent;
  if (context.subresource === "status") {
    draft = copyJson(old);
    if (sent["status"] === undefined) delete draft["status"];
    else draft["status"] = sent["status"];
    if (context.tracked) draft.metadata.managedFields = sent.metadata.managedFields ?? [];
  } else if (context.subresource === "finalize") {
    draft = copyJson(old);
    draft["spec"] = sent["spec"];
  } else {
    keepServerFields(resource, draft, old);
    if (resource.hasStatus) {
      if (old["status"] === undefined) delete draft["status"];
      else draft["status"] = copyJson(old["status"]);
    }
    passCheck(resource, draft, old);
    resource.prepareUpdate?.(draft, old);
  }
  passSchema(resource, draft, old);
  checkMetadata(resource, draft);
  draft.metadata.resourceVersion = old.metadata.resourceVersion ?? "";
  return draft;
}

/** Marked for deletion, and nothing holds it any more: no finalizer, no grace period of a pod, no contents. */
export function isReleased({ kind, metadata, spec }: KubeObject): boolean {
  if (metadata.deletionTimestamp === undefined) return false;
  const held = (metadata.finalizers ?? []).length > 0 || (metadata.deletionGracePeriodSeconds ?? 0) > 0;
  return !held && !(kind === kinds.namespace.kind && strings(spec, "finalizers").length > 0);
}
