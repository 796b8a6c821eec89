// Ownership of fields over writes: an update takes what it changes, an apply claims what it sets and gives up what it no longer
// does, and meets a conflict where another owner disagrees. Source: structured-merge-diff, merge.Updater.
import { copyJson } from "../../../lib/copy-json.ts";
import type { KubeObject } from "../../../api/meta.ts";
import { ApiError } from "../errors.ts";
import type { Resource } from "../resource.ts";
import { isRecord, type StructuralSchema } from "../schema/structural.ts";
import { compare, fieldsOf } from "./compare.ts";
import {
  difference,
  emptySet,
  intersection,
  isEmptySet,
  shownPaths,
  union,
  without,
  type FieldSet,
} from "./field-set.ts";
import { managersBefore, sameManager, withSet, withoutFields, writeManagers } from "./managers.ts";
import type { Manager, ManagerName } from "./managers.ts";
import { mergeTyped, pruneTyped } from "./merge.ts";
import { fieldSchema } from "./typed.ts";

export interface Writer {
  readonly manager: string;
  readonly subresource?: string | undefined;
  /** RFC 3339. */
  readonly now: string;
}

const node = (...names: string[]): FieldSet => Object.fromEntries(names.map((name) => [`f:${name}`, emptySet]));
/** What nobody owns. */
const serverFields: FieldSet = {
  ...node("apiVersion", "kind"),
  "f:metadata": {
    ".": emptySet,
    ...node(
      "name",
      "namespace",
      "creationTimestamp",
      "selfLink",
      "uid",
      "generation",
      "managedFields",
      "resourceVersion",
    ),
  },
};
/** Members only: what is below metadata stays. */
const ownable = (set: FieldSet): FieldSet => difference(set, serverFields);
const managedFieldsAlone: FieldSet = { "f:metadata": { ".": emptySet, ...node("managedFields") } };

/** What this road may not write, nor own. */
const foreign = (resource: Resource, subresource: string | undefined): FieldSet =>
  subresource !== undefined ? node("spec", "data") : resource.hasStatus ? node("status") : emptySet;

/** Objects of built-in kinds begin with their sections there; custom ones with nothing. */
function blank({ custom, typed }: Resource): object {
  if (custom) return { metadata: {} };
  const sections = ["spec", "status"].filter((name) => typed.properties?.[name] !== undefined);
  return Object.fromEntries(["metadata", ...sections].map((name) => [name, {}]));
}

/** Writes the owners of a created or updated object into the draft. */
export function trackUpdate(resource: Resource, draft: KubeObject, old: KubeObject | undefined, writer: Writer): void {
  const { manager, subresource, now } = writer;
  const managers = managersBefore(old, draft, subresource);
  const name: ManagerName = { manager, operation: "Update", apiVersion: resource.apiVersion, subresource };
  const changed = compare(bare(old ?? blank(resource)), bare(draft), resource.typed);
  const own = managers.find((one) => sameManager(one, name));
  const others = managers.filter((one) => one !== own);
  const taken = union(changed.modified, changed.added);
  const lost = union(taken, changed.removed);
  if (isEmptySet(lost)) return writeManagers(draft, managers);
  const held = difference(own?.set ?? emptySet, changed.removed);
  const set = without(ownable(union(held, taken)), foreign(resource, subresource));
  writeManagers(draft, [...withoutFields(others, lost), ...withSet(name, own, set, now)]);
}

const bare = (object: object): object => {
  const { metadata } = object as Partial<KubeObject>;
  const { managedFields: _fields, ...rest } = metadata ?? {};
  return { ...object, metadata: rest };
};

/**
 * The live object with the configuration laid over it, owners included.
 * @throws ApiError 409 where another owner's value would change and `force` is not given, 500 for undeclared fields
 */
export function applyConfig(
  resource: Resource,
  live: KubeObject | undefined,
  config: KubeObject,
  writer: Writer & { readonly force: boolean },
): KubeObject {
  const { manager, subresource, now, force } = writer;
  const { typed } = resource;
  checkDeclared(resource, config);
  const off = foreign(resource, subresource);
  const name: ManagerName = { manager, operation: "Apply", apiVersion: resource.apiVersion, subresource };
  const managers = live ? ownersOf(resource, live, now) : [];
  const own = managers.find((one) => sameManager(one, name));
  const others = managers.filter((one) => one !== own);
  const wanted = withoutForeign(config, off);
  const set = without(ownable(fieldsOf(wanted, typed)), off);
  const base = live ? bare(live) : {};
  const merged = mergeTyped(base, wanted, typed);
  const kept = others.reduce((sum, one) => union(sum, one.set), union(set, serverFields));
  const object = own ? pruneTyped(merged, typed, own.set, kept) : merged;
  const changed = compare(live ? base : blank(resource), object, typed);
  const taken = without(ownable(union(changed.modified, changed.added)), managedFieldsAlone);
  const conflicts = others.flatMap((one) => {
    const lost = intersection(one.set, taken);
    return isEmptySet(lost) ? [] : [{ ...one, set: lost }];
  });
  if (conflicts.length > 0 && !force) throw applyConflict(conflicts);
  const draft = copyJson(object) as KubeObject;
  writeManagers(draft, [...withoutFields(others, union(taken, changed.removed)), ...withSet(name, own, set, now)]);
  return draft;
}

/** An object that nobody ever owned a field of belongs to whoever wrote it before. */
function ownersOf(resource: Resource, live: KubeObject, now: string): Manager[] {
  const known = managersBefore(live, live);
  if (known.length > 0) return known;
  const name: ManagerName = { manager: "before-first-apply", operation: "Update", apiVersion: resource.apiVersion };
  return withSet(name, undefined, without(ownable(fieldsOf(bare(live), resource.typed)), node("status")), now);
}

const withoutForeign = (config: KubeObject, off: FieldSet): KubeObject =>
  Object.fromEntries(Object.entries(config).filter(([name]) => off[`f:${name}`] === undefined)) as KubeObject;

function checkDeclared({ typed, apiVersion, kind }: Resource, config: KubeObject): void {
  const wrong = undeclared(config, typed, "");
  if (wrong.length === 0) return;
  const { namespace = "", name = "" } = config.metadata;
  const text = wrong.length === 1 ? wrong[0] : `errors:\n  ${wrong.join("\n  ")}`;
  const about = `${namespace}/${name}; ${apiVersion}, Kind=${kind}`;
  throw new ApiError(500, "", `failed to create typed patch object (${about}): ${text}`);
}

function undeclared(value: unknown, schema: StructuralSchema, path: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, at) => undeclared(item, schema.items ?? {}, `${path}[${at}]`));
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const known = fieldSchema(schema, name);
    return known ? undeclared(inner, known, `${path}.${name}`) : [`${path}.${name}: field not declared in schema`];
  });
}

function applyConflict(conflicts: readonly Manager[]): ApiError {
  const rows = conflicts.flatMap((one) => shownPaths(one.set).map((path) => ({ path, by: shownManager(one) })));
  const [first] = rows;
  const message =
    rows.length === 1 && first
      ? `Apply failed with 1 conflict: conflict with ${first.by}: ${first.path}`
      : `Apply failed with ${rows.length} conflicts: ${shownByManager(rows)}`;
  return new ApiError(409, "Conflict", message, {
    causes: rows.map(({ path, by }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${by}`,
      field: path,
    })),
  });
}

const shownByManager = (rows: readonly { path: string; by: string }[]): string =>
  [...new Set(rows.map(({ by }) => by))]
    .toSorted()
    .flatMap((by) => [`conflicts with ${by}:`, ...rows.filter((row) => row.by === by).map(({ path }) => `- ${path}`)])
    .join("\n");

const shownManager = ({ manager, subresource, operation, apiVersion }: Manager): string => {
  const part = subresource === undefined ? "" : ` with subresource ${JSON.stringify(subresource)}`;
  return `${JSON.stringify(manager)}${part}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
};
