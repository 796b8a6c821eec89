// What kubectl is told of manifests that cannot be: by the schema, by the checks of a DataVolume, by what is there already.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeDir, startCdiUp, temporaryDir, type CdiUp } from "../support/cdi-up.ts";

let up: CdiUp;
beforeAll(async () => {
  up = await startCdiUp({ dir: await temporaryDir() });
});
afterAll(async () => {
  await up.stop();
  await removeDir(up.dir);
});

type Fields = Record<string, unknown>;
const claim = (storage: unknown = "1Gi", accessModes: unknown = ["ReadWriteOnce"]): Fields => ({
  accessModes,
  resources: { requests: { storage } },
});
const blank = { blank: {} };
const dataVolume = (spec: Fields | undefined, metadata: Fields = { name: "checked" }): Fields => ({
  apiVersion: "cdi.kubevirt.io/v1beta1",
  kind: "DataVolume",
  metadata,
  ...(spec ? { spec } : {}),
});
/** Server-side dry run: everything is checked and nothing stays. kubectl's own validation is left out: the server's counts. */
const apply = (object: Fields): Promise<string> =>
  up.kubectlWith(JSON.stringify(object), "create", "--dry-run=server", "--validate=false", "-f", "-");

describe("DataVolumes that are refused", () => {
  test.each([
    {
      of: "a clone without a namespace",
      spec: { source: { pvc: { name: "a", namespace: "" } }, pvc: claim() },
      says: /source PVC is not valid/,
    },
    {
      of: "a clone without a name",
      spec: { source: { pvc: { name: "", namespace: "a" } }, pvc: claim() },
      says: /source PVC is not valid/,
    },
    { of: "a reference of no kind", spec: { sourceRef: { kind: "", name: "a" }, pvc: claim() }, says: /kind/i },
    { of: "a reference of another kind", spec: { sourceRef: { kind: "Pod", name: "a" }, pvc: claim() }, says: /kind/i },
    {
      of: "a reference without a name",
      spec: { sourceRef: { kind: "DataSource", name: "" }, pvc: claim() },
      says: /name/,
    },
    {
      of: "a size of zero",
      spec: { source: blank, pvc: claim("0") },
      says: /PVC size can't be equal or less than zero/,
    },
    {
      of: "a negative size",
      spec: { source: blank, pvc: claim("-500m") },
      says: /PVC size can't be equal or less than zero/,
    },
    {
      of: "a size that is no quantity",
      spec: { source: blank, pvc: claim("1Gi!") },
      says: /requests\.storage|quantit/,
    },
    { of: "a size that is a word", spec: { source: blank, pvc: claim("many") }, says: /requests\.storage|quantit/ },
    { of: "no spec", spec: undefined, says: /spec: Required value/ },
    { of: "http without a URL", spec: { source: { http: {} }, pvc: claim() }, says: /url: Required value/ },
    {
      of: "a claim's source without its name",
      spec: { source: { pvc: { namespace: "a" } }, pvc: claim() },
      says: /name: Required value/,
    },
    { of: "neither pvc nor storage", spec: { source: blank }, says: /PVC/ },
    {
      of: "no resources",
      spec: { source: blank, pvc: { accessModes: ["ReadWriteOnce"] } },
      says: /PVC size is missing/,
    },
    { of: "no access mode", spec: { source: blank, pvc: claim("1Gi", []) }, says: /access/i },
    {
      of: "no size",
      spec: { source: blank, pvc: { accessModes: ["ReadWriteOnce"], resources: { requests: {} } } },
      says: /PVC size is missing/,
    },
  ])("$of", async ({ spec, says }) => {
    await expect(apply(dataVolume(spec))).rejects.toThrow(says);
  });

  test("without metadata", async () => {
    const { metadata: _, ...rest } = dataVolume({ source: blank, pvc: claim() });
    await expect(apply(rest)).rejects.toThrow(/name/);
  });
  test("without a name", async () => {
    await expect(apply(dataVolume({ source: blank, pvc: claim() }, {}))).rejects.toThrow(/name/);
  });
  test("one that is there already", async () => {
    const object = dataVolume({ source: { upload: {} }, pvc: claim("32Mi") }, { name: "there" });
    await up.kubectlWith(JSON.stringify(object), "create", "-f", "-");
    await expect(up.kubectlWith(JSON.stringify(object), "create", "-f", "-")).rejects.toThrow(
      /datavolumes.cdi.kubevirt.io "there" already exists/,
    );
  });
});

describe("DataVolumes that are taken", () => {
  test.each([
    { of: "a plain one", spec: { source: blank, pvc: claim() } },
    { of: "a size with a leading zero", spec: { source: blank, pvc: claim("01Gi") } },
  ])("$of", async ({ spec }) => {
    expect(await apply(dataVolume(spec))).toContain("created");
  });
});

const config = (filesystemOverhead: object): Promise<string> =>
  up.kubectl("patch", "cdiconfig", "config", "--type=merge", "-p", JSON.stringify({ spec: { filesystemOverhead } }));
describe.each([
  { of: "of all classes", put: (value: string) => ({ global: value }) },
  { of: "of one class", put: (value: string) => ({ storageClass: { local: value } }) },
])("the overhead of file systems, $of", ({ put }) => {
  test.each(["half", "1.1", "-0.1", "0.0055", "2"])("%s is refused", async (value) => {
    await expect(config(put(value))).rejects.toThrow(/filesystemOverhead/);
  });
  test.each(["0", "0.0", "0.055", "1"])("%s is taken", async (value) => {
    expect(await config(put(value))).toMatch(/patched/);
  });
});

test("a CDIConfig that is deleted is made again, with its status", async () => {
  await up.kubectl("delete", "cdiconfig", "config");
  const overhead = (): Promise<string> =>
    up.kubectl(
      "get",
      "cdiconfig",
      "config",
      "--ignore-not-found",
      "-o",
      "jsonpath={.status.filesystemOverhead.global}",
    );
  await expect.poll(overhead, { timeout: 20_000, interval: 200 }).toBe("0.06");
});
