// Habits a machine can check: file length, opening comments, names, and where the process is touched.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { longestFile, mayBeLonger, mayReadEnv } from "./rules.ts";
import { allFiles, root, shippedFiles, withoutComments } from "./sources.ts";

const every = allFiles();
const shipped = shippedFiles();
const paths = (files: { path: string }[]): string[] => files.map(({ path }) => path);
const lines = (text: string): number => text.trimEnd().split("\n").length;

test(`no file is longer than ${longestFile} lines, but generated ones and pure tables`, () => {
  const long = every.filter(({ path, text }) => lines(text) > longestFile && !(path in mayBeLonger));
  expect(long.map(({ path, text }) => `${path}: ${lines(text)} lines`)).toEqual([]);
});

test("every exemption from the length is still needed", () => {
  const needed = new Set(paths(every.filter(({ text }) => lines(text) > longestFile)));
  expect(Object.keys(mayBeLonger).filter((path) => !needed.has(path))).toEqual([]);
});

test("every shipped file opens with a comment on its job", () => {
  const silent = shipped.filter(({ text }) => !/^(#![^\n]*\n)?(\/\/|\/\*)/.test(text));
  expect(paths(silent)).toEqual([]);
});

test("process.env is read only where settings enter", () => {
  const readers = every.filter(({ text }) =>
    /\bprocess\.env\b|\benv\b[^;]*from "node:process"/.test(withoutComments(text)),
  );
  expect(paths(readers).filter((path) => !mayReadEnv.some((allowed) => allowed.test(path)))).toEqual([]);
});

test("the process is never ended from inside: main sets exitCode", () => {
  const exiting = every.filter(({ text }) =>
    /\bprocess\s*\.\s*(exit|abort|reallyExit)\s*\(/.test(withoutComments(text)),
  );
  expect(paths(exiting)).toEqual([]);
});

test("file names are kebab-case", () => {
  const odd = paths(every).filter((path) => !/^(.*\/)?[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench))?\.(ts|mjs)$/.test(path));
  expect(odd).toEqual([]);
});

test("unit tests mirror the rooms", () => {
  const folders = new Set(
    paths(every)
      .filter((path) => path.startsWith("test/unit/"))
      .map((path) => path.split("/").slice(2, -1).join("/")),
  );
  const strays = [...folders].filter(
    (folder) => !existsSync(join(root, "src", folder)) && !existsSync(join(root, folder)),
  );
  expect(strays).toEqual([]);
});
