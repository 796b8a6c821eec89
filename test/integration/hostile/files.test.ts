// Strangers' files: hostile ones are refused before qemu-img runs at all, with their code, and leave nothing; honest ones come
// out as qemu-img reads them. qemu-img is a recording one, bound over the real one in a mount namespace of the importing process.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findTool } from "../../../src/datapath/child.ts";
import { hostileFiles, type HostileFile } from "../../support/hostile-files.ts";
import { honestFiles, type HonestFile } from "../../support/honest-files.ts";
import type { Told, Wanted } from "../../support/import-many.ts";
import { makeFolder, type AtEnd } from "../../support/loop.ts";

const run = promisify(execFile);
const missing = !findTool("qemu-img")
  ? "qemu-img is not installed (package qemu-utils)"
  : process.getuid?.() === 0
    ? undefined
    : "a mount namespace needs root";

describe.skipIf(missing)(`strangers' files${missing ? `: ${missing}` : ""}`, () => {
  const releases: (() => Promise<void>)[] = [];
  const atEnd: AtEnd = (release) => void releases.unshift(release);
  let folder: string;
  let hostile: HostileFile[];
  let honest: HonestFile[];

  beforeAll(async () => {
    folder = await makeFolder("cdi-strangers-", atEnd);
    await mkdir(join(folder, "made"));
    hostile = await hostileFiles(join(folder, "made"));
    honest = await honestFiles(join(folder, "honest"));
  }, 180_000);
  afterAll(async () => {
    for (const release of releases) await release();
  });

  /** @returns how each import ended, and the arguments of every call of qemu-img */
  async function importAll(wanted: Wanted[]): Promise<{ told: Told[]; calls: string[] }> {
    const place = await makeFolder("cdi-strangers-run-");
    const [real, recorder, log, list, answers] = ["real", "recorder", "log", "list", "answers"].map((name) =>
      join(place, name),
    ) as [string, string, string, string, string];
    const tool = findTool("qemu-img") ?? "";
    await copyFile(tool, real);
    await writeFile(log, "");
    await writeFile(recorder, `#!/bin/sh\necho "$*" >> ${log}\nexec ${real} "$@"\n`);
    for (const path of [real, recorder]) await chmod(path, 0o755);
    await writeFile(list, JSON.stringify(wanted));
    const program = join(import.meta.dirname, "../../support/import-many.ts");
    const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
    const words = [
      "--mount",
      "sh",
      "-c",
      script,
      "sh",
      recorder,
      tool,
      process.execPath,
      program,
      list,
      answers,
      place,
    ];
    await run("unshare", words, { maxBuffer: 1 << 24 });
    const told = JSON.parse(await readFile(answers, "utf8")) as Told[];
    return { told, calls: (await readFile(log, "utf8")).split("\n").filter((line) => line !== "") };
  }

  async function stored(files: readonly { name: string; bytes: Buffer }[]): Promise<string[]> {
    const place = await makeFolder("cdi-strangers-files-");
    return await Promise.all(
      files.map(async ({ name, bytes }, index) => {
        const dir = join(place, String(index));
        await mkdir(dir);
        await writeFile(join(dir, name), bytes);
        return join(dir, name);
      }),
    );
  }

  test.each([
    { from: "a local file", distant: false },
    { from: "afar", distant: true },
  ])(
    "hostile files from $from are refused, each with its code, and qemu-img sees none",
    async ({ distant }) => {
      expect(hostile.length).toBeGreaterThanOrEqual(60);
      const paths = await stored(hostile);
      const { told, calls } = await importAll(paths.map((path) => ({ path, distant })));
      const seen = told.map(({ code, left }, index) => `${hostile[index]?.name}: ${code} ${left.join()}`.trim());
      expect(seen).toEqual(hostile.map(({ name, code }) => `${name}: ${code}`));
      expect(calls).toEqual([]);
    },
    240_000,
  );

  test("honest files come out as they should", async () => {
    expect(honest.length).toBeGreaterThanOrEqual(40);
    const wanted = honest.map(({ path }, index) => ({ path, distant: index % 2 === 0 }));
    const { told, calls } = await importAll(wanted);
    const seen = told.map(
      ({ code, message, sha256 }, index) => `${honest[index]?.name}: ${code} ${message}${sha256 ?? ""}`,
    );
    const sums = await Promise.all(
      honest.map(async ({ name, rawPath }) => {
        const sum = createHash("sha256")
          .update(await readFile(rawPath))
          .digest("hex");
        return `${name}: none ${sum}`;
      }),
    );
    expect(seen).toEqual(sums);
    // That the recorder records: formats that are converted were.
    expect(calls.some((line) => line.includes("driver=vmdk"))).toBe(true);
    expect(calls.every((line) => line.startsWith("convert ") && line.includes("file.driver=file"))).toBe(true);
  }, 240_000);
});
