// A configuration laid over an object, and fields taken out of one. Source: structured-merge-diff, Merge and RemoveItems.
import { isRecord, type StructuralSchema } from "../schema/structural.ts";
import type { FieldSet } from "./field-set.ts";
import { elementOf, fieldSchema, isGranular, itemSchema, listKind, partsOf, untyped } from "./typed.ts";

/** @returns a new value; unchanged parts are shared */
export function mergeTyped(live: unknown, config: unknown, schema: StructuralSchema): unknown {
  if (!isGranular(live, schema) || !isGranular(config, schema)) return config;
  if (Array.isArray(live) && Array.isArray(config)) return mergeLists(live as unknown[], config as unknown[], schema);
  if (!isRecord(live) || !isRecord(config)) return config;
  const out = { ...live };
  for (const [name, value] of Object.entries(config)) {
    out[name] = name in live ? mergeTyped(live[name], value, fieldSchema(schema, name) ?? untyped) : value;
  }
  return out;
}

/** Items come in the configuration's order; those only the object has keep their place between their neighbours. */
function mergeLists(live: unknown[], config: unknown[], schema: StructuralSchema): unknown[] {
  const wanted = new Set(config.map((item) => elementOf(schema, item)));
  const known = new Map(live.map((item) => [elementOf(schema, item), item]));
  const out: unknown[] = [];
  let at = 0;
  for (const item of config) {
    while (at < live.length && !wanted.has(elementOf(schema, live[at]))) out.push(live[at++]);
    const element = elementOf(schema, item);
    out.push(known.has(element) ? mergeTyped(known.get(element), item, itemSchema(schema)) : item);
    if (at < live.length && wanted.has(elementOf(schema, live[at]))) at += 1;
  }
  return [...out, ...live.slice(at).filter((item) => !wanted.has(elementOf(schema, item)))];
}

/** Takes out what `dropped` names and nobody in `kept` claims, parts of it included. */
export function pruneTyped(value: unknown, schema: StructuralSchema, dropped: FieldSet, kept: FieldSet): unknown {
  if (!isGranular(value, schema)) return value;
  const gone = new Set<string>();
  const inner = new Map<string, unknown>();
  for (const part of partsOf(value, schema)) {
    const was = dropped[part.element];
    if (was === undefined) continue;
    const still = kept[part.element];
    if (still === undefined) gone.add(part.element);
    else inner.set(part.element, pruneTyped(part.value, part.schema, was, still));
  }
  if (Array.isArray(value)) {
    if (listKind(schema) === "atomic") return value;
    const items = value as unknown[];
    const elements = items.map((item) => elementOf(schema, item));
    return items.flatMap((item, at) => {
      const element = elements[at] ?? "";
      return gone.has(element) ? [] : [inner.has(element) ? inner.get(element) : item];
    });
  }
  if (!isRecord(value)) return value;
  const left = Object.entries(value).filter(([name]) => !gone.has(`f:${name}`));
  return Object.fromEntries(left.map(([name, one]) => [name, inner.has(`f:${name}`) ? inner.get(`f:${name}`) : one]));
}
