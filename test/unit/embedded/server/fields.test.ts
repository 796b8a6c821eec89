// Ownership of fields: what an update takes, what an apply claims, gives up and refuses to take.
import { describe, expect, test } from "vitest";
import { kinds } from "../../../../src/api/kinds.ts";
import type { KubeObject } from "../../../../src/api/meta.ts";
import { fieldsOf } from "../../../../src/embedded/server/fields/compare.ts";
import { difference, shownPaths, union } from "../../../../src/embedded/server/fields/field-set.ts";
import { applyConfig, trackUpdate } from "../../../../src/embedded/server/fields/manage.ts";
import { builtinOf } from "../../../../src/embedded/server/registry.ts";
import { duplicateKeys } from "../../../../src/embedded/server/schema/duplicates.ts";

const configMaps = builtinOf(kinds.configMap);
const pods = builtinOf(kinds.pod);
const now = "2026-01-01T00:00:00Z";
const configMap = (data: object, metadata: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "x", ...metadata },
  data,
});
const pod = (...containers: object[]): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "x" },
  spec: { containers },
});
const applied = (manager: string, live: KubeObject | undefined, config: KubeObject, force = false): KubeObject =>
  applyConfig(config.kind === "Pod" ? pods : configMaps, live, config, { manager, now, force });
const owners = (object: KubeObject): Record<string, unknown> =>
  Object.fromEntries(
    (object.metadata.managedFields as { manager: string; operation: string; fieldsV1: unknown }[]).map(
      ({ manager, operation, fieldsV1 }) => [`${manager} ${operation}`, fieldsV1],
    ),
  );

test("the fields of a configuration: keys of maps, items by their keys, values of sets", () => {
  const config = pod({ name: "a", env: [{ name: "B", value: "1" }], ports: [{ containerPort: 80 }] });
  config.metadata.finalizers = ["f/x"];
  expect(shownPaths(fieldsOf(config, pods.typed))).toEqual([
    ".apiVersion",
    ".kind",
    '.metadata.finalizers[="f/x"]',
    ".metadata.name",
    '.spec.containers[name="a"]',
    '.spec.containers[name="a"].env[name="B"]',
    '.spec.containers[name="a"].env[name="B"].name',
    '.spec.containers[name="a"].env[name="B"].value',
    '.spec.containers[name="a"].name',
    '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
    '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort',
  ]);
});

test("a set less another and that other again is the set", () => {
  const a = { "f:a": { ".": {}, "f:b": {}, "f:c": {} }, "f:d": {} };
  const b = { "f:a": { "f:b": {} }, "f:d": {} };
  expect(difference(a, b)).toEqual({ "f:a": { ".": {}, "f:c": {} } });
  expect(shownPaths(union(difference(a, b), b))).toEqual([".a", ".a.b", ".a.c", ".d"]);
});

describe("updates", () => {
  test("whoever creates owns what stands there, the map itself too", () => {
    const draft = configMap({ a: "1" });
    trackUpdate(configMaps, draft, undefined, { manager: "one", now });
    expect(owners(draft)).toEqual({ "one Update": { "f:data": { ".": {}, "f:a": {} } } });
  });
  test("another takes what it changes, and loses what it removes", () => {
    const first = configMap({ a: "1", b: "1" });
    trackUpdate(configMaps, first, undefined, { manager: "one", now });
    const second = { ...structuredClone(first), data: { a: "2" } };
    trackUpdate(configMaps, second, first, { manager: "two", now });
    expect(owners(second)).toEqual({
      "one Update": { "f:data": {} },
      "two Update": { "f:data": { "f:a": {} } },
    });
  });
  test("a list of one empty entry forgets all owners", () => {
    const first = configMap({ a: "1" });
    trackUpdate(configMaps, first, undefined, { manager: "one", now });
    const second = configMap({ a: "1" }, { managedFields: [{}] });
    trackUpdate(configMaps, second, first, { manager: "two", now });
    expect(second.metadata.managedFields).toBeUndefined();
  });
});

describe("applies", () => {
  test("what one no longer names goes, unless another names it too", () => {
    const first = applied("one", undefined, configMap({ a: "1", b: "1" }));
    const shared = applied("two", first, configMap({ b: "1" }));
    const later = applied("one", shared, configMap({ c: "1" }));
    expect(later["data"]).toEqual({ b: "1", c: "1" });
    expect(owners(later)).toEqual({
      "one Apply": { "f:data": { "f:c": {} } },
      "two Apply": { "f:data": { "f:b": {} } },
    });
  });
  test("another's value is a conflict, and is taken by force", () => {
    const first = applied("one", undefined, configMap({ a: "1" }));
    expect(() => applied("two", first, configMap({ a: "2" }))).toThrow(
      'Apply failed with 1 conflict: conflict with "one": .data.a',
    );
    const taken = applied("two", first, configMap({ a: "2" }), true);
    expect(owners(taken)).toEqual({ "two Apply": { "f:data": { "f:a": {} } } });
  });
  test("several conflicts are told by owner", () => {
    const first = configMap({ a: "1", b: "1" });
    trackUpdate(configMaps, first, undefined, { manager: "one", now });
    expect(() => applied("two", first, configMap({ a: "2", b: "2" }))).toThrow(
      'Apply failed with 2 conflicts: conflicts with "one" using v1:\n- .data.a\n- .data.b',
    );
  });
  test("items are merged by key, and go alone", () => {
    const first = applied("one", undefined, pod({ name: "a", image: "x" }, { name: "b", image: "x" }));
    const second = applied("two", first, pod({ name: "c", image: "x" }));
    expect(second["spec"]).toMatchObject({ containers: [{ name: "a" }, { name: "b" }, { name: "c" }] });
    expect(applied("one", second, pod({ name: "b", image: "x" }))["spec"]).toEqual({
      containers: [
        { name: "b", image: "x" },
        { name: "c", image: "x" },
      ],
    });
  });
  test("fields nobody declared are refused", () => {
    const config = configMap({ a: "1" });
    config["typo"] = {};
    expect(() => applied("one", undefined, config)).toThrow(".typo: field not declared in schema");
  });
  test("an object without owners belongs to whoever was before the first apply", () => {
    const taken = applied("one", configMap({ a: "1" }), configMap({ b: "1" }));
    expect(Object.keys(owners(taken))).toEqual(["one Apply", "before-first-apply Update"]);
  });
});

test.each([
  ["none", '{"a":1,"b":{"a":2}}', []],
  ["deep", '{"a":[{"b":"}\\"","c":1,"c":[1, 2]}],"d":{}}', ["a[0].c"]],
  ["escaped", '{"a":1,"\\u0061":2}', ["a"]],
  ["thrice", '{"a":1,"a":2,"a":3}', ["a"]],
])("duplicate keys: %s", (_what, text, found) => {
  expect(duplicateKeys(text)).toEqual(found);
});
