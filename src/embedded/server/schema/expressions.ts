// The part of CEL that validation rules are mostly made of: literals, fields, comparisons, logic, `in`, has(), size(), the
// macros over lists and the tests on texts. Source: the Common Expression Language's specification.
import { isDeepStrictEqual } from "node:util";
import { isRecord } from "./structural.ts";

export type Scope = Readonly<Record<string, unknown>>;
type Evaluate = (scope: Scope) => unknown;

const token =
  /\s*(?:(\d+\.\d+|\d+)|("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|([A-Za-z_]\w*)|(&&|\|\||==|!=|<=|>=|[-+*/%!<>()[\].,?:]))/y;

/** @returns undefined for an expression that goes beyond this part of the language */
export function compileExpression(text: string): Evaluate | undefined {
  const words: string[] = [];
  token.lastIndex = 0;
  while (text.slice(token.lastIndex).trim() !== "") {
    const match = token.exec(text);
    if (!match) return undefined;
    words.push(match[0].trim());
  }
  const reader = readWords(words);
  try {
    const evaluate = ternary(reader);
    return reader.peek() === undefined ? evaluate : undefined;
  } catch (cause) {
    if (cause instanceof BeyondSubset) return undefined;
    throw cause;
  }
}

class BeyondSubset extends Error {}

interface Reader {
  peek(): string | undefined;
  next(): string;
  take(word: string): boolean;
  expect(word: string): void;
}
function readWords(words: readonly string[]): Reader {
  let at = 0;
  const take = (word: string): boolean => {
    if (words[at] !== word) return false;
    at += 1;
    return true;
  };
  return {
    peek: () => words[at],
    next: () => words[at++] ?? "",
    take,
    expect(word) {
      if (!take(word)) throw new BeyondSubset();
    },
  };
}

function ternary(reader: Reader): Evaluate {
  const test = binary(reader, 0);
  if (!reader.take("?")) return test;
  const yes = ternary(reader);
  reader.expect(":");
  const no = ternary(reader);
  return (scope) => (test(scope) === true ? yes(scope) : no(scope));
}

type Operator = (a: Evaluate, b: Evaluate) => Evaluate;
const onValues =
  (compute: (a: never, b: never) => unknown): Operator =>
  (a, b) =>
  (scope) =>
    compute(a(scope) as never, b(scope) as never);
const compared = (fits: (order: number) => boolean): Operator =>
  onValues((a: number | string, b: number | string) => fits(a < b ? -1 : a > b ? 1 : 0));
const isIn = (one: unknown, all: unknown): boolean =>
  Array.isArray(all)
    ? all.some((other) => isDeepStrictEqual(other, one))
    : isRecord(all) && Object.hasOwn(all, String(one));

/** From the loosest to the tightest. */
const levels: readonly Readonly<Record<string, Operator>>[] = [
  { "||": (a, b) => (scope) => a(scope) === true || b(scope) === true },
  { "&&": (a, b) => (scope) => a(scope) === true && b(scope) === true },
  {
    "==": onValues((a: unknown, b: unknown) => isDeepStrictEqual(a, b)),
    "!=": onValues((a: unknown, b: unknown) => !isDeepStrictEqual(a, b)),
    "<": compared((order) => order < 0),
    "<=": compared((order) => order <= 0),
    ">": compared((order) => order > 0),
    ">=": compared((order) => order >= 0),
    in: onValues(isIn),
  },
  {
    "+": onValues((a: number, b: number) =>
      Array.isArray(a) && Array.isArray(b) ? [...(a as unknown[]), ...(b as unknown[])] : a + b,
    ),
    "-": onValues((a: number, b: number) => a - b),
  },
  {
    "*": onValues((a: number, b: number) => a * b),
    "/": onValues((a: number, b: number) => Math.trunc(a / b)),
    "%": onValues((a: number, b: number) => a % b),
  },
];

function binary(reader: Reader, level: number): Evaluate {
  const operators = levels[level];
  if (!operators) return unary(reader);
  let left = binary(reader, level + 1);
  for (let word = reader.peek(); word !== undefined && Object.hasOwn(operators, word); word = reader.peek()) {
    const operator = operators[reader.next()];
    if (operator) left = operator(left, binary(reader, level + 1));
  }
  return left;
}

function unary(reader: Reader): Evaluate {
  if (reader.take("!")) {
    const inner = unary(reader);
    return (scope) => inner(scope) !== true;
  }
  if (reader.take("-")) {
    const inner = unary(reader);
    return (scope) => -(inner(scope) as number);
  }
  return member(reader, primary(reader));
}

function member(reader: Reader, start: Evaluate): Evaluate {
  let at = start;
  for (;;) {
    const before = at;
    if (reader.take("[")) {
      const index = ternary(reader);
      reader.expect("]");
      at = (scope) => fieldOf(before(scope), index(scope));
    } else if (reader.take(".")) {
      const name = reader.next();
      if (!reader.take("(")) at = (scope) => fieldOf(before(scope), name);
      else at = method(reader, before, name);
    } else return at;
  }
}

/** @throws Error for what is not there, as CEL does */
function fieldOf(value: unknown, name: unknown): unknown {
  if (Array.isArray(value) && typeof name === "number" && name < value.length) return (value as unknown[])[name];
  if (isRecord(value) && Object.hasOwn(value, String(name))) return value[String(name)];
  throw new Error(`no such key: ${String(name)}`);
}

const sizeOf = (value: unknown): number =>
  typeof value === "string" || Array.isArray(value) ? value.length : Object.keys(value as object).length;
const itemsOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? (value as unknown[]) : Object.keys(value as object);

const macros: Readonly<Record<string, (items: unknown[], each: (item: unknown) => unknown) => unknown>> = {
  all: (items, each) => items.every((item) => each(item) === true),
  exists: (items, each) => items.some((item) => each(item) === true),
  exists_one: (items, each) => items.filter((item) => each(item) === true).length === 1,
  filter: (items, each) => items.filter((item) => each(item) === true),
  map: (items, each) => items.map(each),
};
const textTests: Readonly<Record<string, (text: string, part: string) => unknown>> = {
  startsWith: (text, part) => text.startsWith(part),
  endsWith: (text, part) => text.endsWith(part),
  contains: (text, part) => text.includes(part),
  matches: (text, part) => new RegExp(part).test(text),
};

function method(reader: Reader, target: Evaluate, name: string): Evaluate {
  const macro = macros[name];
  const textTest = textTests[name];
  if (macro) {
    const variable = reader.next();
    reader.expect(",");
    const body = ternary(reader);
    reader.expect(")");
    return (scope) => macro(itemsOf(target(scope)), (item) => body({ ...scope, [variable]: item }));
  }
  if (name === "size") {
    reader.expect(")");
    return (scope) => sizeOf(target(scope));
  }
  if (!textTest) throw new BeyondSubset();
  const part = ternary(reader);
  reader.expect(")");
  return (scope) => textTest(String(target(scope)), String(part(scope)));
}

const words: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

function primary(reader: Reader): Evaluate {
  const word = reader.next();
  if (word === "(") {
    const inner = ternary(reader);
    reader.expect(")");
    return inner;
  }
  if (word === "[") return listOf(reader);
  if (/^\d/.test(word)) return () => Number(word);
  if (/^["']/.test(word)) {
    const text = word.slice(1, -1).replaceAll(/\\(.)/g, "$1");
    return () => text;
  }
  if (Object.hasOwn(words, word)) return () => words[word];
  if (!/^[A-Za-z_]/.test(word)) throw new BeyondSubset();
  if (!reader.take("(")) return (scope) => fieldOf(scope, word);
  if (word !== "has" && word !== "size") throw new BeyondSubset();
  const inner = ternary(reader);
  reader.expect(")");
  return word === "size" ? (scope) => sizeOf(inner(scope)) : (scope) => isThere(inner, scope);
}

function isThere(inner: Evaluate, scope: Scope): boolean {
  try {
    return inner(scope) !== undefined;
  } catch (cause) {
    if (cause instanceof Error && cause.message.startsWith("no such key")) return false;
    throw cause;
  }
}

function listOf(reader: Reader): Evaluate {
  const items: Evaluate[] = [];
  while (!reader.take("]")) {
    items.push(ternary(reader));
    if (reader.peek() !== "]") reader.expect(",");
  }
  return (scope) => items.map((item) => item(scope));
}
