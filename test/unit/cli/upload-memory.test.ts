// What an upload notes to go on with later: for one file, one DataVolume, one proxy.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { forget, recall, remember, urlBehind } from "../../../src/cli/upload/memory.ts";
import { removeDir, temporaryDir } from "../../support/cdi-up.ts";

const about = { namespace: "default", name: "disk", path: "/disk.img", sizeBytes: 10, modifiedMs: 1 };

async function folder(): Promise<string> {
  const dir = await temporaryDir();
  onTestFinished(() => removeDir(dir));
  return dir;
}

test("it is there until it is forgotten, and not for a file that was changed", async () => {
  const env = { XDG_STATE_HOME: await folder() };
  await remember(about, { url: "https://a:1/x" }, env);
  expect(await recall(about, env)).toEqual({ url: "https://a:1/x" });
  expect(await recall({ ...about, modifiedMs: 2 }, env)).toBeUndefined();
  await forget(about, env);
  expect(await recall(about, env)).toBeUndefined();
});

test("a folder that is none is named", async () => {
  const file = join(await folder(), "file");
  await writeFile(file, "");
  const env = { XDG_STATE_HOME: file };
  const fault = { code: "ConfigInvalid", message: expect.stringContaining(file) as string };
  await expect(recall(about, env)).rejects.toMatchObject(fault);
  await expect(remember(about, { url: "https://a:1/x" }, env)).rejects.toMatchObject(fault);
});

test.each([
  { when: "the same proxy", url: "https://a:1/v1beta1/upload-tus/x", goesOn: true },
  { when: "another port", url: "https://a:2/v1beta1/upload-tus/x", goesOn: false },
  { when: "another cluster's", url: "https://b:1/v1beta1/upload-tus/x", goesOn: false },
  { when: "no URL", url: "x", goesOn: false },
])("$when: goes on $goesOn", ({ url, goesOn }) => {
  expect(urlBehind("https://a:1/v1beta1/upload-tus", { url })).toBe(goesOn ? url : undefined);
});
