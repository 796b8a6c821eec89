import { expect, test } from "vitest";
import { componentsOf } from "../../../../src/datapath/tree/names.ts";

const texts = (path: string | Buffer): string[] =>
  componentsOf(Buffer.from(path as string)).map((name) => name.toString("latin1"));

test.each([
  { path: "a/b", names: ["a", "b"] },
  { path: "./a//b/", names: ["a", "b"] },
  { path: "./", names: [] },
  { path: "", names: [] },
  { path: "...", names: ["..."] },
  { path: "a/..b/c..", names: ["a", "..b", "c.."] },
  { path: "x".repeat(255), names: ["x".repeat(255)] },
])("$path", ({ path, names }) => {
  expect(texts(path)).toEqual(names);
});

test("bytes that are no UTF-8 stay as they are", () => {
  expect(texts(Buffer.from([0x61, 0x2f, 0xff, 0xfe]))).toEqual(["a", "\xff\xfe"]);
});

test.each(["/etc/passwd", "/", "..", "a/../b", "a/..", "../a", `a/${"x".repeat(256)}`])("%s is refused", (path) => {
  expect(() => texts(path)).toThrow(expect.objectContaining({ code: "ArchiveInvalid" }) as Error);
});
