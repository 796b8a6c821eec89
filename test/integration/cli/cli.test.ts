// The command line from the outside: bin/cdi.mjs as a child, real servers and files.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { version } from "../../../src/lib/version.ts";
import {
  ensureBuilt,
  makeFolder,
  makeImages,
  MiB,
  projectRoot,
  serveFolder,
  type Images,
  type WebServer,
} from "../importer/world.ts";

let folder: { path: string; remove: () => Promise<void> };
let work: string;
let images: Images;
let server: WebServer;

beforeAll(async () => {
  ensureBuilt();
  folder = await makeFolder();
  images = await makeImages(folder.path);
  execFileSync("gzip", ["-kf", images.qcow2]);
  server = await serveFolder(folder.path);
});
afterAll(async () => {
  await server.close();
  await folder.remove();
});
beforeEach(async () => {
  const { path, remove } = await makeFolder();
  work = path;
  onTestFinished(remove);
});

interface Said {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
function start(args: readonly string[], node = process.execPath): { child: ChildProcess; ended: Promise<Said> } {
  const child = spawn(node, [join(projectRoot, "bin/cdi.mjs"), ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Said>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exit) => done({ exit, stdout, stderr }));
  });
  return { child, ended };
}
const cdi = (...args: string[]): Promise<Said> => start(args).ended;
const lastObject = ({ stdout }: Said): unknown => JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
const target = (): string => join(work, "out.img");

describe("cdi import", () => {
  test("raw over http, with digest: the one object", async () => {
    const said = await cdi("import", `${server.url}/ranges/disk.img`, target(), "--digest", "--output", "json");
    expect(said, said.stderr).toMatchObject({ exit: 0, stderr: "" });
    expect(said.stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(lastObject(said)).toEqual({
      ok: true,
      road: "straight",
      format: "raw",
      virtualSize: 16 * MiB,
      bytesRead: 16 * MiB,
      bytesWritten: expect.any(Number),
      allocated: (await stat(target())).blocks * 512,
      scratchPeak: 0,
      sha256: createHash("sha256").update(images.bytes).digest("hex"),
      seconds: expect.any(Number),
    });
    expect((await readFile(target())).equals(images.bytes)).toBe(true);
  });

  test("qcow2 from a file, grown to --size", async () => {
    const said = await cdi(
      "import",
      images.qcow2,
      target(),
      "--size",
      "20Mi",
      "--scratch",
      work,
      "--digest",
      "--output=json",
    );
    expect(said, said.stderr).toMatchObject({ exit: 0 });
    expect(lastObject(said)).toMatchObject({
      ok: true,
      format: "qcow2",
      virtualSize: 16 * MiB,
      sha256: createHash("sha256").update(images.bytes).digest("hex"),
    });
    const disk = await readFile(target());
    expect(disk.length).toBe(20 * MiB);
    expect(disk.subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
    expect(await readdir(work)).toEqual(["out.img"]);
  });

  test("in text: what lies in what, from the inside out", async () => {
    execFileSync("xz", ["-kf0", `${images.qcow2}.gz`]);
    const said = await cdi("import", `${images.qcow2}.gz.xz`, target());
    expect(said, said.stderr).toMatchObject({ exit: 0, stderr: "" });
    expect(said.stdout).toContain("qcow2 in gz in xz, ");
  });

  test("in text: one summary line", async () => {
    const said = await cdi("import", images.raw, target());
    expect(said, said.stderr).toMatchObject({ exit: 0, stderr: "" });
    expect(said.stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(said.stdout).toContain("16.0 MiB");
  });

  test.each<{ when: string; args: () => string[]; exit: number; object: Record<string, unknown>; keeps?: boolean }>([
    {
      when: "404",
      args: () => [`${server.url}/ranges/none.img`, target()],
      exit: 77,
      object: { code: "SourceNotFound", message: expect.stringContaining("404"), retryable: true },
    },
    {
      when: "no such file",
      args: () => [join(work, "none.img"), target()],
      exit: 100,
      object: { code: "SourceUnreadable", retryable: false },
    },
    {
      when: "a scheme nobody reads",
      args: () => ["ftp://host/disk.img", target()],
      exit: 66,
      object: { code: "SourceUnknown", retryable: false },
    },
    {
      when: "a qcow2 whose tables come too late, without scratch",
      args: () => [`${server.url}/plain/late.qcow2`, target()],
      exit: 97,
      object: { code: "ScratchMissing", remedy: expect.stringContaining("--scratch DIR") },
    },
    {
      when: "too small",
      args: () => [images.raw, target(), "--size", "8Mi"],
      exit: 67,
      object: { code: "TargetTooSmall", retryable: false },
    },
    {
      when: "a wrong checksum",
      args: () => [images.raw, target(), "--checksum", `md5:${"0".repeat(32)}`],
      exit: 64,
      object: { code: "ChecksumMismatch", retryable: false },
    },
    {
      when: "a target that bears data",
      args: () => [images.raw, images.qcow2],
      exit: 96,
      object: { code: "TargetInUse", remedy: expect.stringContaining("--overwrite") },
    },
    { when: "a folder as target", args: () => [images.raw, work], exit: 95, object: { code: "TargetReadOnly" } },
    {
      when: "an unknown flag",
      args: () => [images.raw, target(), "--nonsense"],
      exit: 2,
      object: { code: "ConfigInvalid" },
    },
    { when: "no target", args: () => [images.raw], exit: 2, object: { code: "ConfigInvalid" } },
    {
      when: "a size that is none",
      args: () => [images.raw, target(), "--size", "big"],
      exit: 2,
      object: { code: "ConfigInvalid" },
    },
    {
      when: "a checksum that is none",
      args: () => [images.raw, target(), "--checksum", "md5:1"],
      exit: 2,
      object: { code: "ConfigInvalid" },
    },
  ])("$when: told as object and as text, nothing left", async ({ args, exit, object }) => {
    const before = await readFile(images.qcow2);
    const json = await cdi("import", ...args(), "--output", "json");
    expect(json, json.stderr).toMatchObject({ exit });
    const failure = lastObject(json);
    expect(failure).toEqual({
      ok: false,
      code: expect.any(String),
      message: expect.stringMatching(/./),
      remedy: expect.stringMatching(/./),
      retryable: expect.any(Boolean),
    });
    expect(failure).toMatchObject(object);
    expect(json.stdout.trimEnd().split("\n")).toHaveLength(1);
    const text = await cdi("import", ...args());
    expect(text).toMatchObject({ exit, stdout: "" });
    const { code, message, remedy } = failure as Record<string, string>;
    for (const part of [`cdi: ${message}`, `code: ${code}`, `remedy: ${remedy}`]) expect(text.stderr).toContain(part);
    expect(await readdir(work)).toEqual([]);
    expect((await readFile(images.qcow2)).equals(before)).toBe(true);
  });

  test("--overwrite replaces what is there", async () => {
    await writeFile(target(), "old");
    const said = await cdi("import", images.raw, target(), "--overwrite");
    expect(said, said.stderr).toMatchObject({ exit: 0 });
    expect((await readFile(target())).equals(images.bytes)).toBe(true);
  });

  test("Ctrl-C leaves nothing half-done", async () => {
    const { child, ended } = start(["import", `${server.url}/slow/disk.img`, target(), "--output", "json"]);
    await untilGrown(`${target()}.part`);
    child.kill("SIGINT");
    const said = await ended;
    expect(said.exit).toBe(1);
    expect(lastObject(said)).toMatchObject({ ok: false, message: "stopped by SIGINT" });
    expect(await readdir(work)).toEqual([]);
  });

  test("a block device: a loop, refused while it bears data", async (context) => {
    if (process.getuid?.() !== 0) return context.skip("loop devices need root");
    const backing = join(work, "backing");
    await copyFile(images.raw, backing);
    await truncate(backing, 20 * MiB);
    const device = execFileSync("losetup", ["-f", "--show", backing], { encoding: "utf8" }).trim();
    onTestFinished(() => void execFileSync("losetup", ["-d", device]));
    const refused = await cdi("import", images.raw, device, "--output", "json");
    expect(lastObject(refused)).toMatchObject({ ok: false, code: "TargetInUse" });
    const said = await cdi("import", images.raw, device, "--overwrite", "--output", "json");
    expect(said, said.stdout).toMatchObject({ exit: 0 });
    expect((await readFile(backing)).subarray(0, images.bytes.length).equals(images.bytes)).toBe(true);
  });
});

describe("cdi inspect", () => {
  test.each([
    { source: "disk.img", format: "raw", compression: [] },
    { source: "disk.qcow2", format: "qcow2", compression: [] },
    { source: "disk.qcow2.gz", format: "qcow2", compression: ["gz"] },
  ])("$source by URL and by file, at most 1 MiB read", async ({ source, format, compression }) => {
    const before = server.sentBytes();
    const byUrl = await cdi("inspect", `${server.url}/ranges/${source}`, "--output", "json");
    expect(byUrl, byUrl.stderr).toMatchObject({ exit: 0 });
    const { size } = await stat(join(folder.path, source));
    const object = { ok: true, format, virtualSize: 16 * MiB, compression, size, ranges: true };
    expect(lastObject(byUrl)).toMatchObject({ ...object, validator: expect.any(String) });
    expect(server.sentBytes() - before).toBeLessThanOrEqual(MiB);
    const byFile = await cdi("inspect", join(folder.path, source), "--output", "json");
    expect(lastObject(byFile)).toMatchObject(object);
    const text = await cdi("inspect", join(folder.path, source));
    expect(text.stdout).toContain(format);
  });

  test("a missing file", async () => {
    const said = await cdi("inspect", join(work, "none"), "--output", "json");
    expect(said.exit).toBe(100);
    expect(lastObject(said)).toMatchObject({ ok: false, code: "SourceUnreadable" });
  });
});

describe("the frame", () => {
  test("--version says the release, also when started by an older node", async () => {
    expect(await cdi("--version")).toMatchObject({ exit: 0, stdout: `${version}\n` });
    const system = execFileSync("sh", ["-c", "command -v node"], {
      encoding: "utf8",
      env: {
        PATH: (process.env["PATH"] ?? "")
          .split(":")
          .filter((path) => !path.includes("node_modules"))
          .join(":"),
      },
    }).trim();
    expect(await start(["--version"], system).ended).toMatchObject({ exit: 0, stdout: `${version}\n` });
    expect(await start(["import"], system).ended).toMatchObject({ exit: 2 });
  });

  test.each([["nonsense"], []])("a call that cannot be read ends with 2", async (...args) => {
    const said = await cdi(...args);
    expect(said).toMatchObject({ exit: 2, stdout: "" });
    expect(said.stderr).toContain("code: ConfigInvalid");
  });

  test("help", async () => {
    const said = await cdi("import", "--help");
    expect(said).toMatchObject({ exit: 0, stderr: "" });
    for (const flag of [
      "--size",
      "--format",
      "--preallocate",
      "--checksum",
      "--digest",
      "--header",
      "--ca",
      "--insecure",
      "--scratch",
      "--overwrite",
      "--output",
    ]) {
      expect(said.stdout).toContain(flag);
    }
  });
});

async function untilGrown(path: string): Promise<void> {
  const until = Date.now() + 20_000;
  for (;;) {
    const found = await stat(path).catch(() => undefined);
    if (found && found.blocks > 0) return;
    if (Date.now() > until) throw new Error(`${path} did not grow`);
    await new Promise((done) => setTimeout(done, 10));
  }
}
