// Our CustomResourceDefinitions against the reference ones: equal but for the two additions on DataVolume.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { cdiConfigKind } from "../../../src/api/cdi-config.ts";
import { crdOf, type CustomResourceDefinition } from "../../../src/api/crd.ts";
import { dataVolumeKind } from "../../../src/api/data-volume.ts";
import { declaredKinds } from "../../../src/api/declared-kinds.ts";
import { storageProfileKind } from "../../../src/api/storage-profile.ts";

const fixtures = join(import.meta.dirname, "../../../fixtures/crds");
const reference = (file: string): unknown => parse(readFileSync(join(fixtures, file), "utf8"));

/** path -> value of every leaf; lists that mean sets are sorted first. */
function leaves(value: unknown, path = ""): Map<string, unknown> {
  if (Array.isArray(value) && path.endsWith(".required")) value = value.map(String).toSorted();
  if (typeof value !== "object" || value === null) return new Map([[path, value]]);
  const inner = Object.entries(value);
  if (inner.length === 0) return new Map([[path, Array.isArray(value) ? "[]" : "{}"]]);
  return new Map(inner.flatMap(([name, item]) => [...leaves(item, `${path}.${name}`)]));
}

const status = ".spec.versions.0.schema.openAPIV3Schema.properties.status.properties";
const added = (field: string, type: string, format?: string): [string, string][] => [
  [`${status}.${field}.type`, type],
  ...(format ? [[`${status}.${field}.format`, format] satisfies [string, string]] : []),
];
const additions = new Map([
  ...added("observedGeneration", "integer", "int64"),
  ...added("transfer", "object"),
  ...["stage", "code", "remedy"].flatMap((name) => added(`transfer.properties.${name}`, "string")),
  ...["stageIndex", "stageCount", "attempt"].flatMap((name) =>
    added(`transfer.properties.${name}`, "integer", "int32"),
  ),
  ...["bytesDone", "bytesTotal", "bytesPerSecond", "etaSeconds", "resumedFromBytes"].flatMap((name) =>
    added(`transfer.properties.${name}`, "integer", "int64"),
  ),
]);

test.each([
  { kind: dataVolumeKind, file: "datavolume.yaml", plus: additions },
  { kind: cdiConfigKind, file: "cdiconfig.yaml", plus: new Map<string, string>() },
  { kind: storageProfileKind, file: "storageprofile.yaml", plus: new Map<string, string>() },
])("$kind.ref.kind equals the reference field by field, but for its additions", ({ kind, file, plus }) => {
  const ours = leaves(crdOf(kind));
  const theirs = leaves(reference(file));
  expect(Object.fromEntries(ours)).toEqual(Object.fromEntries([...theirs, ...plus]));
});

test("the comparison sees a field that is missing, changed or new", () => {
  const base = leaves(crdOf(dataVolumeKind));
  const changed: CustomResourceDefinition = structuredClone(crdOf(dataVolumeKind));
  delete changed.spec.versions[0]?.schema.openAPIV3Schema.properties?.["spec"]?.properties?.["source"];
  expect(leaves(changed).size).toBeLessThan(base.size);
});

test("every schema is structural: each node has a type, or is an int-or-string", () => {
  const untyped: string[] = [];
  const walk = (schema: Record<string, unknown>, path: string): void => {
    if (typeof schema["type"] !== "string" && schema["x-kubernetes-int-or-string"] !== true) untyped.push(path);
    for (const [name, inner] of Object.entries(
      (schema["properties"] ?? {}) as Record<string, Record<string, unknown>>,
    )) {
      walk(inner, `${path}.${name}`);
    }
    for (const word of ["items", "additionalProperties"]) {
      const inner = schema[word] as Record<string, unknown> | undefined;
      if (inner) walk(inner, `${path}[]`);
    }
  };
  for (const kind of declaredKinds) {
    const root = crdOf(kind).spec.versions[0]?.schema.openAPIV3Schema ?? {};
    // The root's own type is implied; upstream's say "type: object" there too.
    walk(root as Record<string, unknown>, kind.ref.kind);
  }
  expect(untyped).toEqual([]);
});
