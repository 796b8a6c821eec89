// Which program files are bound into pods, and whether pods can read them.
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applicationMounts, isClosedToOthers } from "../../../../src/embedded/pods/application.ts";

let dir = "";
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), "cdi-app-")));
  await mkdir(join(dir, "app", "dist"), { recursive: true });
  await writeFile(join(dir, "app", "dist", "importer.js"), "");
  await chmod(join(dir, "app", "dist", "importer.js"), 0o644);
  await chmod(join(dir, "app", "dist"), 0o755);
});
afterEach(() => rm(dir, { recursive: true }));

test("an interpreter elsewhere and linked modules are bound too", async () => {
  const node = join(dir, "runtime-node");
  await writeFile(node, "");
  await mkdir(join(dir, "modules"));
  await symlink(join(dir, "modules"), join(dir, "app", "node_modules"));
  const images = { importer: [node, join(dir, "app", "dist", "importer.js")], sh: ["/bin/sh"] };
  const mounts = await applicationMounts([join(dir, "app")], images);
  expect(mounts.map(({ at }) => at)).toEqual([join(dir, "app"), join(dir, "modules"), node]);
  expect(mounts.every(({ readOnly }) => readOnly)).toBe(true);
});

test("files closed to others are noticed", async () => {
  expect(await isClosedToOthers([join(dir, "app")])).toBe(false);
  await chmod(join(dir, "app", "dist", "importer.js"), 0o600);
  expect(await isClosedToOthers([join(dir, "app")])).toBe(true);
});
