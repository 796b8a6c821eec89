// Secrets and ConfigMaps as folders.
import { mkdtemp, readFile, readdir, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeFilesVolume } from "../../../../src/embedded/pods/files-volume.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cdi-files-"));
});
afterEach(() => rm(folder, { recursive: true }));
const bytes = (text: string) => Buffer.from(text);

test("each name points through ..data to the version in force", async () => {
  await writeFilesVolume(folder, { files: { "tls.crt": bytes("one") } });
  expect(await readlink(join(folder, "tls.crt"))).toBe("..data/tls.crt");
  expect(await readlink(join(folder, "..data"))).toMatch(/^\.\.\d+_\d+$/);
  expect(await readFile(join(folder, "tls.crt"), "utf8")).toBe("one");
  expect((await stat(join(folder, "tls.crt"))).mode & 0o777).toBe(0o644);
});

test("a change swaps all files at once, drops what is gone, and leaves one version", async () => {
  await writeFilesVolume(folder, { files: { a: bytes("1"), b: bytes("1") } });
  await writeFilesVolume(folder, { files: { a: bytes("2"), c: bytes("2") } });
  const names = await readdir(folder);
  expect(names.filter((name) => !name.startsWith("..")).sort()).toEqual(["a", "c"]);
  expect(names.filter((name) => /^\.\.\d/.test(name))).toHaveLength(1);
  expect(await readFile(join(folder, "a"), "utf8")).toBe("2");
});

test("items choose keys, paths and modes", async () => {
  const items = [{ key: "k", path: "deep/er", mode: 0o400 }];
  await writeFilesVolume(folder, { files: { k: bytes("v"), other: bytes("x") }, items });
  expect(await readFile(join(folder, "deep", "er"), "utf8")).toBe("v");
  expect((await stat(join(folder, "deep", "er"))).mode & 0o777).toBe(0o400);
  expect(await readdir(folder)).not.toContain("other");
});

test.each(["../out", "/abs", "a/../../b"])("a path %s that leaves the folder is refused", async (path) => {
  const wanted = { files: { k: bytes("v") }, items: [{ key: "k", path }] };
  await expect(writeFilesVolume(folder, wanted)).rejects.toThrow("leaves the volume");
});

test("a key that is not there is refused", async () => {
  const wanted = { files: {}, items: [{ key: "k", path: "k" }] };
  await expect(writeFilesVolume(folder, wanted)).rejects.toThrow("references non-existent config key: k");
});
