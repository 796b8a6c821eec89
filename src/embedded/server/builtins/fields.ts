// Reading untyped objects without ceremony: a missing step gives undefined.
import type { KubeObject } from "../../../api/meta.ts";
import { isRecord } from "../schema/structural.ts";

export function at(object: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), object);
}
export const text = (object: unknown, ...path: string[]): string => {
  const value = at(object, ...path);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
};
export const list = (object: unknown, ...path: string[]): Record<string, unknown>[] => {
  const value = at(object, ...path);
  return Array.isArray(value) ? value.filter(isRecord) : [];
};
export const strings = (object: unknown, ...path: string[]): string[] => {
  const value = at(object, ...path);
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
};

/** The record under a name, made when it is not there. */
export function section(draft: KubeObject | Record<string, unknown>, name: string): Record<string, unknown> {
  const fields = draft as Record<string, unknown>;
  const found = fields[name];
  if (isRecord(found)) return found;
  const made: Record<string, unknown> = {};
  fields[name] = made;
  return made;
}
