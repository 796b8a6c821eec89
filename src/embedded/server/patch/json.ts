// JSON patch, RFC 6902.
import { isDeepStrictEqual } from "node:util";
import { badRequest, ApiError } from "../errors.ts";
import { isRecord } from "../schema/structural.ts";

const fails = (message: string): ApiError =>
  new ApiError(422, "Invalid", `the server rejected our request due to an error in our request: ${message}`);

/** @returns a new value. @throws ApiError 400 for a malformed patch, 422 where it does not fit the object */
export function jsonPatch(target: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw badRequest("json patch must be an array of operations");
  let root = structuredClone(target);
  for (const operation of operations as unknown[]) {
    if (!isRecord(operation) || typeof operation["path"] !== "string")
      throw badRequest("json patch operation without path");
    root = applyOne(root, operation, operation["path"]);
  }
  return root;
}

function applyOne(root: unknown, operation: Record<string, unknown>, path: string): unknown {
  const { op, value, from } = operation;
  switch (op) {
    case "add":
      return put(root, path, structuredClone(value), true);
    case "replace":
      read(root, path);
      return put(root, path, structuredClone(value), false);
    case "remove":
      return drop(root, path);
    case "test":
      if (!isDeepStrictEqual(read(root, path), value)) throw fails(`testing value ${path} failed`);
      return root;
    case "copy":
      return put(root, path, structuredClone(read(root, String(from))), true);
    case "move": {
      const moved = read(root, String(from));
      return put(drop(root, String(from)), path, moved, true);
    }
    default:
      throw badRequest(`unexpected json patch operation ${JSON.stringify(op)}`);
  }
}

const wordsOf = (path: string): string[] =>
  path
    .split("/")
    .slice(1)
    .map((word) => word.replaceAll("~1", "/").replaceAll("~0", "~"));

function read(root: unknown, path: string): unknown {
  let at = root;
  for (const word of wordsOf(path)) {
    const next: unknown = Array.isArray(at)
      ? at[indexOf(word, at.length - 1)]
      : isRecord(at)
        ? ownOf(at, word)
        : undefined;
    if (next === undefined) throw fails(`path ${path} does not exist`);
    at = next;
  }
  return at;
}

const ownOf = (record: Record<string, unknown>, name: string): unknown =>
  Object.hasOwn(record, name) ? record[name] : undefined;

function indexOf(word: string, last: number): number {
  const index = /^(0|[1-9]\d*)$/.test(word) ? Number(word) : Number.NaN;
  if (!(index <= last)) throw fails(`array index ${word} is out of bounds`);
  return index;
}

function put(root: unknown, path: string, value: unknown, insert: boolean): unknown {
  const words = wordsOf(path);
  const last = words.pop();
  if (last === undefined) return value;
  const parent = words.length === 0 ? root : read(root, `/${words.map(escaped).join("/")}`);
  if (Array.isArray(parent)) {
    const index = last === "-" ? parent.length : indexOf(last, insert ? parent.length : parent.length - 1);
    parent.splice(index, insert ? 0 : 1, value);
    return root;
  }
  if (!isRecord(parent) || last === "__proto__") throw fails(`path ${path} does not exist`);
  parent[last] = value;
  return root;
}

function drop(root: unknown, path: string): unknown {
  read(root, path);
  const words = wordsOf(path);
  const last = words.pop() ?? "";
  const parent = words.length === 0 ? root : read(root, `/${words.map(escaped).join("/")}`);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isRecord(parent)) delete parent[last];
  return root;
}

const escaped = (word: string): string => word.replaceAll("~", "~0").replaceAll("/", "~1");
