// A deep copy of plain JSON: several times quicker than structuredClone, which has to think of cycles, dates and buffers.

/** @param value made of objects, arrays and scalars only, as it comes from JSON */
export function copyJson<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copyJson(item as unknown)) as T;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = copyJson((value as Record<string, unknown>)[key]);
  return copy as T;
}
