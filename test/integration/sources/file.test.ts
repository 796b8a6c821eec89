// The file source, over files and a real block device.
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fileSource, sourceForArgument, sourceForWord } from "../../../importer/sources/index.ts";
import { makeLoop, noLoops } from "../../support/loop.ts";
import { drain, someBytes, sourceMustBehave } from "../../support/source-suite.ts";
import { never } from "./http-support.ts";

async function fileOf(bytes: Uint8Array, name = "disk.img"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cdi-file-source-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
}

sourceMustBehave("file source", async (bytes) => fileSource(await fileOf(bytes)));

test("the facts of a file", async () => {
  const path = await fileOf(someBytes(1000));
  const facts = await fileSource(path).facts(never());
  expect(facts).toEqual({ sizeBytes: 1000, ranges: true, validator: expect.stringMatching(/^\d+-1000-\d+$/) });
});

test.skipIf(noLoops)("a block device is read to its end", async () => {
  const sizeBytes = 5 * 1024 * 1024 + 512;
  const { device, backingPath } = await makeLoop({ sizeBytes });
  const source = fileSource(device);
  expect(await source.facts(never())).toMatchObject({ sizeBytes, ranges: true });
  const tail = await drain(await source.open(1024 * 1024, never()));
  expect(tail.equals((await readFile(backingPath)).subarray(1024 * 1024))).toBe(true);
});

test.each([
  ["a file that is not there", "/nonexistent/disk.img"],
  ["a folder", tmpdir()],
  ["a character device", "/dev/zero"],
])("%s is SourceUnreadable", async (_, path) => {
  await expect(fileSource(path).facts(never())).rejects.toMatchObject({ code: "SourceUnreadable" });
  await expect(fileSource(path).open(0, never())).rejects.toMatchObject({ code: "SourceUnreadable" });
});

test("a file that changed between two reads is SourceChanged", async () => {
  const path = await fileOf(someBytes(1000));
  const source = fileSource(path);
  await drain(await source.open(0, never()));
  await appendFile(path, "more");
  await expect(source.open(10, never())).rejects.toMatchObject({ code: "SourceChanged" });
});

test("a file that becomes shorter while it is read is SourceChanged", async () => {
  const path = await fileOf(someBytes(8 * 1024 * 1024));
  const source = fileSource(path);
  onTestFinished(() => source.close());
  const stream = await source.open(0, never());
  await truncate(path, 1024);
  await expect(drain(stream)).rejects.toMatchObject({ code: "SourceChanged" });
});

test.each([
  ["https://h/x.img", "http"],
  ["HTTP://h/x.img", "http"],
  ["file:///tmp/x%20y.img", "file"],
  ["./disk.img", "file"],
  ["/a:b/disk.img", "file"],
])("SOURCE %s is read by %s", (argument, name) => {
  expect(sourceForArgument(argument).name).toBe(name);
});

test("a file: URL names a path", () => {
  const settings = { url: "file:///tmp/x%20y.img" } as Parameters<ReturnType<typeof sourceForArgument>["make"]>[0];
  expect(sourceForArgument(settings.url).make(settings).path).toBe("/tmp/x y.img");
});

test("what no source reads is SourceUnknown, with upstream's text for a pod's word", () => {
  expect(sourceForWord("http").name).toBe("http");
  expect(() => sourceForWord("glance")).toThrow(
    expect.objectContaining({ code: "SourceUnknown", message: "Unknown data source: glance" }),
  );
  expect(() => sourceForArgument("nfs://u:p@h/x")).toThrow(expect.objectContaining({ code: "SourceUnknown" }));
  expect(() => sourceForArgument("nfs://u:p@h/x")).not.toThrow("u:p");
});
