// The three patch types, row by row.
import { describe, expect, test } from "vitest";
import { jsonPatch } from "../../../../src/embedded/server/patch/json.ts";
import { mergePatch } from "../../../../src/embedded/server/patch/merge.ts";
import { strategicPatch } from "../../../../src/embedded/server/patch/strategic.ts";

describe("merge patch (RFC 7386, appendix A)", () => {
  test.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j + %j = %j", (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  test("leaves the target alone", () => {
    const target = Object.freeze({ a: Object.freeze({ b: 1 }) });
    expect(mergePatch(target, { a: { c: 2 } })).toEqual({ a: { b: 1, c: 2 } });
  });
});

describe("JSON patch (RFC 6902)", () => {
  test.each([
    ["adds a field", { a: 1 }, [{ op: "add", path: "/b", value: 2 }], { a: 1, b: 2 }],
    ["inserts into a list", { l: [1, 3] }, [{ op: "add", path: "/l/1", value: 2 }], { l: [1, 2, 3] }],
    ["appends to a list", { l: [1] }, [{ op: "add", path: "/l/-", value: 2 }], { l: [1, 2] }],
    [
      "removes",
      { l: [1, 2], a: 1 },
      [
        { op: "remove", path: "/l/0" },
        { op: "remove", path: "/a" },
      ],
      { l: [2] },
    ],
    ["replaces", { a: { b: 1 } }, [{ op: "replace", path: "/a/b", value: 2 }], { a: { b: 2 } }],
    ["moves", { a: 1 }, [{ op: "move", from: "/a", path: "/b" }], { b: 1 }],
    ["copies", { a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
    ["tests", { a: [1] }, [{ op: "test", path: "/a", value: [1] }], { a: [1] }],
    ["unescapes", { "a/b": { "c~d": 1 } }, [{ op: "replace", path: "/a~1b/c~0d", value: 2 }], { "a/b": { "c~d": 2 } }],
  ])("%s", (_what, target, patch, result) => {
    expect(jsonPatch(target, patch)).toEqual(result);
  });

  test.each([
    ["a test that fails", { a: 1 }, [{ op: "test", path: "/a", value: 2 }], 422],
    ["removing what is not there", {}, [{ op: "remove", path: "/a" }], 422],
    ["an index out of bounds", { l: [] }, [{ op: "add", path: "/l/3", value: 1 }], 422],
    ["an unknown operation", {}, [{ op: "jump", path: "/a" }], 400],
    ["a patch that is no list", {}, { op: "add" }, 400],
    ["a way into the prototype", {}, [{ op: "add", path: "/__proto__/x", value: 1 }], 422],
  ])("refuses %s", (_what, target, patch, status) => {
    expect(() => jsonPatch(target, patch)).toThrow(expect.objectContaining({ status }));
  });
});

describe("strategic patch", () => {
  const container = (name: string, image: string) => ({ name, image });
  test.each([
    [
      "merges containers by name",
      { spec: { containers: [container("a", "1"), container("b", "1")] } },
      { spec: { containers: [{ name: "b", image: "2" }] } },
      { spec: { containers: [container("a", "1"), container("b", "2")] } },
    ],
    [
      "deletes a list element by directive",
      { spec: { containers: [container("a", "1"), container("b", "1")] } },
      { spec: { containers: [{ name: "a", $patch: "delete" }] } },
      { spec: { containers: [container("b", "1")] } },
    ],
    [
      "orders by $setElementOrder",
      { spec: { containers: [container("a", "1")] } },
      { spec: { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }], containers: [container("b", "2")] } },
      { spec: { containers: [container("b", "2"), container("a", "1")] } },
    ],
    [
      "treats finalizers as a set",
      { metadata: { finalizers: ["a"] } },
      { metadata: { finalizers: ["a", "b"] } },
      { metadata: { finalizers: ["a", "b"] } },
    ],
    [
      "deletes from a set",
      { metadata: { finalizers: ["a", "b"] } },
      { metadata: { "$deleteFromPrimitiveList/finalizers": ["a"] } },
      { metadata: { finalizers: ["b"] } },
    ],
    [
      "merges owner references by uid",
      { metadata: { ownerReferences: [{ uid: "1", name: "x" }] } },
      { metadata: { ownerReferences: [{ uid: "2", name: "y" }] } },
      {
        metadata: {
          ownerReferences: [
            { uid: "1", name: "x" },
            { uid: "2", name: "y" },
          ],
        },
      },
    ],
    [
      "merges volumes by name and retains keys",
      { spec: { volumes: [{ name: "v", emptyDir: {} }] } },
      { spec: { volumes: [{ name: "v", $retainKeys: ["name", "secret"], secret: { secretName: "s" } }] } },
      { spec: { volumes: [{ name: "v", secret: { secretName: "s" } }] } },
    ],
    ["replaces plain lists", { spec: { args: ["a", "b"] } }, { spec: { args: ["c"] } }, { spec: { args: ["c"] } }],
    ["deletes by null", { data: { a: "1", b: "2" } }, { data: { a: null } }, { data: { b: "2" } }],
    [
      "replaces a whole map by directive",
      { data: { a: "1", b: "2" } },
      { data: { $patch: "replace", c: "3" } },
      { data: { c: "3" } },
    ],
    [
      "ports of services merge by port, of containers by containerPort",
      { spec: { ports: [{ port: 80, name: "x" }], containers: [{ name: "c", ports: [{ containerPort: 80 }] }] } },
      { spec: { ports: [{ port: 81 }], containers: [{ name: "c", ports: [{ containerPort: 80, name: "y" }] }] } },
      {
        spec: {
          ports: [{ port: 80, name: "x" }, { port: 81 }],
          containers: [{ name: "c", ports: [{ containerPort: 80, name: "y" }] }],
        },
      },
    ],
  ])("%s", (_what, target, patch, result) => {
    expect(strategicPatch(target, patch)).toEqual(result);
  });

  test("refuses an element without its key", () => {
    expect(() => strategicPatch({}, { spec: { containers: [{ image: "x" }] } })).toThrow(/merge key: name/);
  });
});
