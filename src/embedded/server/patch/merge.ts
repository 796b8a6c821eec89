// JSON merge patch, RFC 7386.
import { isRecord } from "../schema/structural.ts";

/** @returns a new value; neither argument is changed, unchanged parts are shared */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const out: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete out[name];
    else out[name] = mergePatch(out[name], value);
  }
  return out;
}
