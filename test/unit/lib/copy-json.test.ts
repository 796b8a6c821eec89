import { expect, test } from "vitest";
import { copyJson } from "../../../src/lib/copy-json.ts";

test("a copy is equal, and shares nothing that can be changed", () => {
  const value = { a: [1, { b: null }], c: "d", e: { f: true } };
  const copy = copyJson(value);
  expect(copy).toEqual(value);
  (copy.a[1] as { b: unknown }).b = 2;
  copy.e.f = false;
  expect(value).toEqual({ a: [1, { b: null }], c: "d", e: { f: true } });
});

test("a key named __proto__ stays a key of the copy's own text only", () => {
  const copy = copyJson(JSON.parse('{"__proto__":{"polluted":true}}') as object);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  expect(copy).toBeTypeOf("object");
});
