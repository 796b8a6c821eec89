// JSON merge patches (RFC 7386): the smallest one from what is to what shall be.

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Deep equality of JSON values; a field that is undefined counts as absent. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, at) => isSame(item, b[at]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => isSame(a[name], b[name]));
}

/** @returns the merge patch that turns `before` into `after`; undefined when nothing differs */
export function mergeDiff(before: Json | undefined, after: Json): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after)]);
  for (const name of names) {
    const was = before?.[name];
    const is = after[name];
    if (isSame(was, is)) continue;
    if (is === undefined) patch[name] = null;
    else patch[name] = isObject(was) && isObject(is) ? mergeDiff(was, is) : is;
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}
