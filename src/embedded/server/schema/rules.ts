// x-kubernetes-validations: each rule on each value it stands beside. Rules beyond the expressions we read are left out: what
// they would refuse is accepted here.
import { isDeepStrictEqual } from "node:util";
import type { FieldError } from "../resource.ts";
import { compileExpression, type Scope } from "./expressions.ts";
import { isRecord, type StructuralSchema } from "./structural.ts";

interface Rule {
  rule: string;
  message?: string;
}
interface Compiled extends Rule {
  evaluate: (scope: Scope) => unknown;
  /** Compares with what was there before: nothing to say about a new value. */
  isTransition: boolean;
}
const compiled = new WeakMap<StructuralSchema, Compiled[]>();

function rulesOf(schema: StructuralSchema): Compiled[] {
  const known = compiled.get(schema);
  if (known) return known;
  const rules = ((schema["x-kubernetes-validations"] ?? []) as Rule[]).flatMap((one): Compiled[] => {
    const evaluate = compileExpression(one.rule);
    return evaluate ? [{ ...one, evaluate, isTransition: /\boldSelf\b/.test(one.rule) }] : [];
  });
  compiled.set(schema, rules);
  return rules;
}

export function checkRules(value: unknown, schema: StructuralSchema, old?: unknown, path = ""): FieldError[] {
  if (value === undefined || value === null) return [];
  const here = rulesOf(schema).flatMap((rule): FieldError[] => {
    if (rule.isTransition && (old === undefined || isDeepStrictEqual(old, value))) return [];
    const why = complaint(rule, { self: value, oldSelf: old });
    const type = Array.isArray(value) ? "array" : typeof value;
    return why === undefined
      ? []
      : [{ field: path, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(type)}: ${why}` }];
  });
  return [...here, ...below(value, schema, old, path)];
}

function complaint({ evaluate, message, rule }: Compiled, scope: Scope): string | undefined {
  try {
    return evaluate(scope) === true ? undefined : (message ?? `failed rule: ${rule}`);
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

function below(value: unknown, schema: StructuralSchema, old: unknown, path: string): FieldError[] {
  const { items, properties } = schema;
  if (Array.isArray(value)) {
    return items ? (value as unknown[]).flatMap((one, at) => checkRules(one, items, undefined, `${path}[${at}]`)) : [];
  }
  if (!isRecord(value)) return [];
  const rest = isRecord(schema.additionalProperties) ? (schema.additionalProperties as StructuralSchema) : undefined;
  return Object.entries(value).flatMap(([name, one]) => {
    const inner = properties?.[name] ?? rest;
    if (!inner) return [];
    const before = isRecord(old) ? old[name] : undefined;
    return checkRules(one, inner, before, path === "" ? name : `${path}.${name}`);
  });
}
