// Structural schemas: pruning, defaults, validation in the real server's words.
import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../../src/api/meta.ts";
import { compileSchema } from "../../../../src/embedded/server/schema/compile.ts";
import type { StructuralSchema } from "../../../../src/embedded/server/schema/structural.ts";

const schema: StructuralSchema = {
  type: "object",
  required: ["spec"],
  properties: {
    metadata: { type: "object" },
    spec: {
      type: "object",
      required: ["size"],
      properties: {
        size: {
          "x-kubernetes-int-or-string": true,
          anyOf: [{ type: "integer" }, { type: "string" }],
          pattern: "^\\d+$",
        },
        mode: { type: "string", enum: ["Block", "Filesystem"], default: "Filesystem" },
        note: { type: "string", nullable: true },
        count: { type: "integer", format: "int32", minimum: 1 },
        free: {
          type: "object",
          "x-kubernetes-preserve-unknown-fields": true,
          properties: { known: { type: "string" } },
        },
        labels: { type: "object", additionalProperties: { type: "string" } },
        list: { type: "array", items: { type: "object", properties: { a: { type: "string", default: "x" } } } },
        when: { type: "string", format: "date-time" },
      },
    },
  },
};
const compiled = compileSchema(schema);
const object = (spec: object): KubeObject => ({ apiVersion: "g/v1", kind: "K", metadata: { name: "x" }, spec });

test("drops what it does not know and says where", () => {
  const given = object({ size: 1, typo: 1, free: { any: 1 }, labels: { a: "b" }, list: [{ a: "1", b: 2 }] });
  const dropped = compiled.prune(Object.assign(given, { extra: true }));
  expect(dropped.toSorted()).toEqual(["extra", "spec.list[0].b", "spec.typo"]);
  expect(given).toEqual(object({ size: 1, free: { any: 1 }, labels: { a: "b" }, list: [{ a: "1" }] }));
});

test("fills defaults, also inside of lists and in place of null", () => {
  const given = object({ size: 1, mode: null, list: [{}] });
  compiled.fillDefaults(given);
  expect(given["spec"]).toEqual({ size: 1, mode: "Filesystem", list: [{ a: "x" }] });
});

describe("validation", () => {
  test.each([
    ["whole", { size: 5, mode: "Block", note: null, count: 1, when: "2026-01-01T00:00:00Z" }, []],
    ["int-or-string as text", { size: "5" }, []],
    ["missing", {}, ["spec.size: Required value"]],
    [
      "not in the list",
      { size: 1, mode: "x" },
      ['spec.mode: Unsupported value: "x": supported values: "Block", "Filesystem"'],
    ],
    [
      "of the wrong type",
      { size: 1, count: "x" },
      ['spec.count: Invalid value: "string": spec.count in body must be of type integer: "string"'],
    ],
    [
      "against the pattern",
      { size: "x" },
      ["spec.size: Invalid value: \"x\": spec.size in body should match '^\\d+$'"],
    ],
    [
      "below the minimum",
      { size: 1, count: 0 },
      ["spec.count: Invalid value: 0: spec.count in body should be greater than or equal to 1"],
    ],
    [
      "a date that is none",
      { size: 1, when: "soon" },
      ['spec.when: Invalid value: "soon": spec.when in body must be of type date-time: "soon"'],
    ],
    [
      "wrong inside a list",
      { size: 1, list: [{ a: 1 }] },
      ['spec.list[0].a: Invalid value: "number": spec.list[0].a in body must be of type string: "number"'],
    ],
  ])("%s", (_when, spec, complaints) => {
    expect(compiled.validate(object(spec)).map(({ field, message }) => `${field}: ${message}`)).toEqual(complaints);
  });
});
