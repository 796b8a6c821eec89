// Strategic merge patch for built-in kinds: merge patch, but known lists merge by key, and directives say delete, replace,
// order or retain. Source: apimachinery strategicpatch and the API conventions.
import { isDeepStrictEqual } from "node:util";
import { badRequest } from "../errors.ts";
import { isRecord } from "../schema/structural.ts";
import { listRule } from "./merge-keys.ts";

type Fields = Record<string, unknown>;
const orderPrefix = "$setElementOrder/";
const deletePrefix = "$deleteFromPrimitiveList/";

/** @returns a new value; unchanged parts are shared. @throws ApiError 400 for an unknown directive */
export function strategicPatch(target: unknown, patch: Fields, parent = ""): unknown {
  const directive = patch["$patch"];
  if (directive === "replace") return without(patch, "$patch");
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge")
    throw badRequest(`unknown $patch directive ${JSON.stringify(directive)}`);
  const out: Fields = isRecord(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(deletePrefix)) dropFromList(out, name.slice(deletePrefix.length), value);
    else if (!name.startsWith("$")) patchField(out, name, value, parent);
  }
  for (const [name, order] of Object.entries(patch)) {
    if (name.startsWith(orderPrefix)) sortList(out, name.slice(orderPrefix.length), order, parent);
  }
  const retain = patch["$retainKeys"];
  if (!Array.isArray(retain)) return out;
  return Object.fromEntries(Object.entries(out).filter(([name]) => retain.includes(name)));
}

function patchField(out: Fields, name: string, value: unknown, parent: string): void {
  if (value === null) delete out[name];
  else if (Array.isArray(value)) out[name] = patchList(out[name], value, parent, name);
  else if (isRecord(value)) out[name] = strategicPatch(out[name], value, name);
  else out[name] = value;
}

function patchList(target: unknown, patch: unknown[], parent: string, field: string): unknown[] {
  const rule = listRule(parent, field);
  if (rule === undefined) return patch.filter((one) => !(isRecord(one) && "$patch" in one));
  const old: unknown[] = Array.isArray(target) ? (target as unknown[]) : [];
  if (rule === "set") return [...old, ...patch.filter((one) => !old.includes(one))];
  if (patch.some((one) => isRecord(one) && one["$patch"] === "replace" && one[rule.key] === undefined)) {
    return patch.filter((one) => !(isRecord(one) && "$patch" in one));
  }
  const out = [...old];
  for (const one of patch) {
    if (!isRecord(one)) throw badRequest(`list ${field} holds something that is no object`);
    const id = one[rule.key];
    if (id === undefined)
      throw badRequest(`map: ${JSON.stringify(one)} does not contain declared merge key: ${rule.key}`);
    const at = out.findIndex((other) => isRecord(other) && isDeepStrictEqual(other[rule.key], id));
    if (one["$patch"] === "delete") {
      if (at >= 0) out.splice(at, 1);
    } else if (at >= 0) out[at] = strategicPatch(out[at], one, field);
    else out.push(strategicPatch({}, one, field));
  }
  return out;
}

function dropFromList(out: Fields, name: string, values: unknown): void {
  const list = out[name];
  if (Array.isArray(list) && Array.isArray(values))
    out[name] = (list as unknown[]).filter((one) => !values.includes(one));
}

/** Elements named in the order come in that order; others keep their place behind. */
function sortList(out: Fields, name: string, order: unknown, parent: string): void {
  const list = out[name];
  const rule = listRule(parent, name);
  if (!Array.isArray(list) || !Array.isArray(order) || rule === undefined) return;
  const idOf = (one: unknown): unknown => (rule === "set" || !isRecord(one) ? one : one[rule.key]);
  const ids = (order as unknown[]).map(idOf);
  const placeOf = (one: unknown): number => {
    const at = ids.findIndex((id) => isDeepStrictEqual(id, idOf(one)));
    return at < 0 ? ids.length : at;
  };
  out[name] = (list as unknown[]).toSorted((a, b) => placeOf(a) - placeOf(b));
}

const without = (fields: Fields, name: string): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([field]) => field !== name));
