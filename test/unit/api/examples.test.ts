// Every example is one the API accepts: it validates against its kind's schema and passes the checks.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { checkDataVolume } from "../../../src/api/checks/data-volume.ts";
import { crdOf } from "../../../src/api/crd.ts";
import { dataVolumeKind } from "../../../src/api/data-volume.ts";
import type { KubeObject } from "../../../src/api/meta.ts";

const folder = join(import.meta.dirname, "../../../examples");
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
const objectsOf = (file: string): KubeObject[] =>
  parseAllDocuments(readFileSync(join(folder, file), "utf8").replaceAll("SERVER", "server.test")).map(
    (document) => document.toJS() as KubeObject,
  );

const ajv = new Ajv({ strict: false, allErrors: true, formats: { int32: true, int64: true, "date-time": true } });
const schema = closed(crdOf(dataVolumeKind).spec.versions[0]?.schema.openAPIV3Schema ?? {});
const validate = ajv.compile(schema);

/** The same schema with unknown fields refused: a misspelt field of an example is found. */
function closed(node: object): object {
  const inner = Object.entries(node).map(([name, value]): [string, unknown] => [
    name,
    typeof value === "object" && value !== null && !Array.isArray(value) ? closed(value as object) : value,
  ]);
  const fields = "properties" in node ? { additionalProperties: false } : {};
  return { ...fields, ...Object.fromEntries(inner) };
}

describe.each(files)("%s", (file) => {
  const dataVolumes = objectsOf(file).filter(({ kind }) => kind === "DataVolume");

  test("has one DataVolume, named after the file", () => {
    expect(dataVolumes.map(({ metadata }) => metadata.name)).toEqual([file.replace(".yaml", "")]);
  });

  test("is accepted", () => {
    const [object] = dataVolumes;
    const plain = { ...object, metadata: {} };
    expect(validate(plain) ? [] : validate.errors).toEqual([]);
    expect(object && checkDataVolume({ operation: "CREATE", object })).toEqual([]);
  });
});

test("a misspelt field would be found", () => {
  expect(validate({ spec: { source: { http: { url: "http://server.test", checkSum: "x" } } } })).toBe(false);
});
