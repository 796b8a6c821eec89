// A checkpoint lies on a volume, where anybody may have put it: what is read of it, and what is not.
import { mkdir, readdir, symlink, writeFile, link } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  readCheckpointFile,
  removeCheckpointFile,
  writeCheckpointFile,
} from "../../../src/datapath/checkpoint/file.ts";
import {
  differenceOf,
  longestCheckpointBytes,
  readCheckpoint,
  writeCheckpoint,
} from "../../../src/datapath/checkpoint/record.ts";
import type { Checkpoint } from "../../../src/datapath/checkpoint/record.ts";
import { makeFolder } from "../../support/loop.ts";

const good: Checkpoint = {
  owner: "uid",
  source: "ab",
  sizeBytes: 1000,
  validator: '"v"',
  checksum: "",
  road: "straight",
  format: "raw",
  inputBytes: 512,
  outputBytes: 512,
  sink: { virtualSizeBytes: 1000, sizeBytes: 1000, writtenBytes: 500 },
};
const summed: Checkpoint = {
  ...good,
  checksum: `sha256:${"0".repeat(64)}`,
  digest: { algorithm: "sha256", bytes: 512, words: "00".repeat(32) },
};
const read = (fields: object): unknown =>
  readCheckpoint(Buffer.from(JSON.stringify({ checkpointFormat: 1, ...fields })));

test.each([good, summed, { ...good, layer: "xz", outputBytes: 9 } as const])("a whole one is read again", (one) => {
  expect(readCheckpoint(writeCheckpoint(one))).toMatchObject(one);
});

test.each<[string, string]>([
  ["nothing", ""],
  ["no JSON", "{"],
  ["a list", "[]"],
  ["null", "null"],
  ["deep nesting", "[".repeat(100_000)],
])("%s is none", (_, text) => expect(typeof readCheckpoint(Buffer.from(text))).toBe("string"));

test.each<[string, object]>([
  ["another version", { ...good, checkpointFormat: 2 }],
  ["a mark of a beginning", { begun: true }],
  ["no owner", { ...good, owner: undefined }],
  ["an unknown road", { ...good, road: "__proto__" }],
  ["an unknown compression", { ...good, layer: "br" }],
  ["a negative place", { ...good, inputBytes: -1, outputBytes: -1 }],
  ["a broken number", { ...good, inputBytes: 1.5, outputBytes: 1.5 }],
  ["a number past all files", { ...good, inputBytes: 2 ** 60, outputBytes: 2 ** 60 }],
  ["a place behind the end", { ...good, inputBytes: 1001, outputBytes: 1001 }],
  ["counts that do not agree", { ...good, outputBytes: 513 }],
  ["a qcow2 with an output", { ...good, road: "one-pass" }],
  ["a place as text", { ...good, inputBytes: "512" }],
  ["no target", { ...good, sink: undefined }],
  ["a target of nonsense", { ...good, sink: { virtualSizeBytes: "x" } }],
  ["a checksum without a digest", { ...summed, digest: undefined }],
  ["a digest without a checksum", { ...summed, checksum: "" }],
  ["a digest ahead of the place", { ...summed, digest: { ...summed.digest, bytes: 640 } }],
  ["a digest in the middle of a block", { ...summed, digest: { ...summed.digest, bytes: 511 } }],
  ["a digest that is too long", { ...summed, digest: { ...summed.digest, words: "00".repeat(33) } }],
  ["a digest of another algorithm", { ...summed, digest: { algorithm: "toString", bytes: 0, words: "" } }],
  ["a state that is an object", { ...good, layer: "xz", decoderState: {} }],
])("%s is none", (_, fields) => expect(typeof read(fields)).toBe("string"));

test.each(["owner", "source", "sizeBytes", "validator", "checksum"] as const)("another %s does not fit", (field) => {
  expect(differenceOf(good, { ...good, [field]: field === "sizeBytes" ? 1 : "other" })).toBe(field);
  expect(differenceOf(good, { ...good })).toBeUndefined();
});

test("a file is there whole or not at all, and gone when it is removed", async () => {
  const folder = await makeFolder();
  const path = join(folder, "checkpoint");
  expect(await readCheckpointFile(path)).toBeUndefined();
  await writeCheckpointFile(path, "one");
  await writeCheckpointFile(path, "two");
  expect(await readCheckpointFile(path)).toEqual(Buffer.from("two"));
  expect(await readdir(folder)).toEqual(["checkpoint"]);
  await removeCheckpointFile(path);
  expect(await readdir(folder)).toEqual([]);
});

test.each<[string, (path: string, folder: string) => Promise<unknown>]>([
  ["a link to elsewhere", (path) => symlink("/etc/passwd", path)],
  ["a folder", (path) => mkdir(path)],
  [
    "a second name of another file",
    async (path, folder) => {
      await writeFile(join(folder, "other"), "{}");
      await link(join(folder, "other"), path);
    },
  ],
  ["one that is far too long", (path) => writeFile(path, Buffer.alloc(longestCheckpointBytes + 1))],
])("%s is not read, and makes room for a new one", async (_, put) => {
  const folder = await makeFolder();
  const path = join(folder, "checkpoint");
  await put(path, folder);
  await expect(readCheckpointFile(path)).rejects.toThrow();
  await removeCheckpointFile(path);
  await writeCheckpointFile(path, "new");
  expect(await readCheckpointFile(path)).toEqual(Buffer.from("new"));
});
