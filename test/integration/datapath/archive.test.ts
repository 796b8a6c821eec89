// The archive road: what GNU tar packs in each of its dialects comes out as GNU tar itself unpacks it; what would reach out of the
// volume is refused, and of what is refused, cut or wrong nothing is left.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, chown, link, mkdir, open, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { importArchive, newProgress, treeTarget, type ArchiveDone, type Source } from "../../../src/datapath/index.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { SyscallError, syscalls } from "../../../src/lib/syscalls.ts";
import { bytesSource, failureOf } from "../../support/bring.ts";
import { wrap, wrappings } from "../../support/images.ts";
import { makeExt4, makeFolder, noLoops } from "../../support/loop.ts";
import { gnuTar, paxHeader, tarEnd, tarFile, tarHeader } from "../../support/tars.ts";

const mib = 1024 * 1024;

interface Wanted {
  checksum?: string;
  requestBytes?: number;
  volumeBytes?: number;
  signal?: AbortSignal;
  calls?: ReturnType<typeof syscalls>;
}
async function unpack(
  source: Source,
  folder: string,
  { checksum, signal, ...target }: Wanted = {},
): Promise<ArchiveDone> {
  const ending = signal ?? new AbortController().signal;
  return await importArchive({
    source,
    target: await treeTarget({ folder, signal: ending, ...target }),
    progress: newProgress(),
    log: silentLog,
    signal: ending,
    ...(checksum ? { checksum } : {}),
  });
}
const unpackBytes = (bytes: Buffer, folder: string, wanted?: Wanted): Promise<ArchiveDone> =>
  unpack(bytesSource(bytes, { path: "/a.tar" }), folder, wanted);

/** Names, kinds, modes, sizes, links and times, and the content's digest: all that an unpacked tree is. */
function shown(folder: string, withTimes = true): string[] {
  const format = `%p|%y|%m|%l|%n|${withTimes ? "%T@" : ""}\\0`;
  const rows = execFileSync("find", [".", "-mindepth", "1", "-printf", format], {
    cwd: folder,
    encoding: "latin1",
  }).split("\0");
  const sums = execFileSync("sh", ["-c", "find . -type f -exec md5sum -z {} +"], {
    cwd: folder,
    encoding: "latin1",
  }).split("\0");
  return [...rows, ...sums].filter(Boolean).toSorted();
}

const sparsePath = "sub/sparse.img";
const sparseData = [
  [0, 4096],
  [8 * mib, 64 * 1024],
  [20 * mib + 512, 700],
] as const;

/** A tree of everything that an ordinary tar may hold. */
async function makeTree(folder: string): Promise<void> {
  await mkdir(join(folder, "sub", "deep", "deeper"), { recursive: true });
  await writeFile(join(folder, "plain"), "plain\n");
  await writeFile(join(folder, "empty"), "");
  await writeFile(join(folder, "sub", "large"), Buffer.alloc(9 * mib, "0123456789abcde"));
  await writeFile(join(folder, "sub", "deep", "deeper", "leaf"), "leaf\n");
  await writeFile(join(folder, `${"long-".repeat(40)}name`), "long\n");
  await writeFile(join(folder, "sub", "ümlaut ☃"), "name\n");
  await writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x6e, 0xff, 0xfe])]), "not UTF-8\n");
  await link(join(folder, "plain"), join(folder, "sub", "hard"));
  await symlink("plain", join(folder, "soft"));
  await symlink("/etc/passwd", join(folder, "sub", "absolute"));
  await symlink("../../nowhere", join(folder, "sub", "dangling"));
  await link(join(folder, "soft"), join(folder, "sub", "hard-to-soft"));
  const handle = await open(join(folder, sparsePath), "w");
  for (const [at, length] of sparseData) await handle.write(Buffer.alloc(length, 7), 0, length, at);
  await handle.truncate(24 * mib);
  await handle.close();
  const modes = { plain: 0o4751, empty: 0o000, "sub/large": 0o600, "sub/deep/deeper/leaf": 0o444, "sub/deep": 0o2775 };
  for (const [name, mode] of Object.entries(modes)) await chmod(join(folder, name), mode);
  await chmod(join(folder, "sub", "deep", "deeper"), 0o555);
  // Halves of a second are told alike by every reader of decimals.
  execFileSync(
    "find",
    [".", "-depth", "-exec", "touch", "--no-dereference", "--date=2017-07-14 02:40:00.5", "{}", "+"],
    {
      cwd: folder,
    },
  );
}

let tree: string;
beforeAll(async () => {
  const releases: (() => Promise<void>)[] = [];
  tree = await makeFolder("cdi-tree-", (release) => void releases.push(release));
  await makeTree(tree);
  return async () => {
    for (const release of releases) await release();
  };
});

const dialects: Readonly<Record<string, readonly string[]>> = {
  gnu: ["--format=gnu"],
  "gnu, sparse": ["--format=gnu", "--sparse"],
  "pax, sparse 0.0": ["--format=pax", "--sparse", "--sparse-version=0.0"],
  "pax, sparse 0.1": ["--format=pax", "--sparse", "--sparse-version=0.1"],
  "pax, sparse 1.0": ["--format=pax", "--sparse", "--sparse-version=1.0"],
  oldgnu: ["--format=oldgnu", "--sparse"],
};

describe("what GNU tar packs comes out as GNU tar unpacks it", () => {
  /** As upstream's importer calls it. */
  async function byTar(archive: Buffer): Promise<string> {
    const folder = await makeFolder();
    const args = ["--preserve-permissions", "--no-same-owner", "-xC", folder];
    execFileSync("tar", args, { input: archive });
    return folder;
  }

  test.each(Object.keys(dialects))("%s", async (dialect) => {
    const archive = gnuTar(tree, [...(dialects[dialect] ?? []), "."]);
    const [ours, theirs] = [await makeFolder(), await byTar(archive)];
    const done = await unpackBytes(archive, ours);
    expect(done.layers).toEqual([]);
    // An old header's times are whole seconds; hard links' times are their file's.
    expect(shown(ours)).toEqual(shown(theirs));
    const { blocks, size } = await stat(join(ours, sparsePath));
    expect(size).toBe(24 * mib);
    // Whole pieces of zeros are left out too, where tar did not look for holes.
    expect(blocks * 512).toBeLessThan(dialect.includes("sparse") || dialect === "oldgnu" ? mib : 8 * mib);
    expect(await readdir(ours)).not.toContain(".cdi-archive.part");
  });

  test.each(["v7", "ustar"])("%s, without the names it cannot hold", async (format) => {
    const archive = gnuTar(join(tree, "sub"), [`--format=${format}`, "."]);
    const [ours, theirs] = [await makeFolder(), await byTar(archive)];
    await unpackBytes(archive, ours);
    expect(shown(ours)).toEqual(shown(theirs));
  });

  test.each(wrappings)("%s, with its checksum", async (wrapping) => {
    const archive = gnuTar(tree, ["--sort=name", "."]);
    const bytes = await wrap(archive, wrapping);
    const [ours, theirs] = [await makeFolder(), await byTar(archive)];
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const done = await unpackBytes(bytes, ours, { checksum: `sha256:${sha256}` });
    expect(done).toMatchObject({ layers: wrapping === "plain" ? [] : [wrapping], bytesRead: bytes.length });
    expect(shown(ours)).toEqual(shown(theirs));
  });

  test("entries that name no folder before: it is made as tar makes it", async () => {
    const archive = Buffer.concat([tarFile({ name: "a/b/c", mode: 0o640 }, "x"), tarEnd]);
    const [ours, theirs] = [await makeFolder(), await byTar(archive)];
    await unpackBytes(archive, ours);
    expect(shown(ours, false)).toEqual(shown(theirs, false));
  });

  test("what comes later takes the place of what came before", async () => {
    const archive = Buffer.concat([
      tarFile({ name: "a" }, "first"),
      tarFile({ name: "b", flag: "2", linkname: "a" }),
      tarFile({ name: "b" }, "no link"),
      tarFile({ name: "a" }, "second"),
      tarFile({ name: "d", flag: "5", mode: 0o755 }),
      tarFile({ name: "d" }, "no folder"),
      tarEnd,
    ]);
    const folder = await makeFolder();
    await unpackBytes(archive, folder);
    expect(await Promise.all(["a", "b", "d"].map((name) => readFile(join(folder, name), "utf8")))).toEqual([
      "second",
      "no link",
      "no folder",
    ]);
  });

  test("what lies in the volume stays, but for what has the same name", async () => {
    const folder = await makeFolder();
    await mkdir(join(folder, "sub", "mine"), { recursive: true });
    await writeFile(join(folder, "plain"), "old");
    await writeFile(join(folder, "sub", "mine", "kept"), "kept");
    await mkdir(join(folder, "soft"));
    await writeFile(join(folder, "soft", "in the way"), "");
    await mkdir(join(folder, ".cdi-archive.part", "of an earlier run"), { recursive: true });
    await unpackBytes(gnuTar(tree, ["."]), folder);
    expect(await readFile(join(folder, "plain"), "utf8")).toBe("plain\n");
    expect(await readFile(join(folder, "sub", "mine", "kept"), "utf8")).toBe("kept");
    expect((await readdir(folder)).toSorted()).toEqual((await readdir(tree)).toSorted());
    // Once more over itself: folders that are closed to their owner are opened for that.
    await unpackBytes(gnuTar(tree, ["."]), folder);
    expect((await stat(join(folder, "sub", "deep", "deeper"))).mode & 0o7777).toBe(0o555);
  });

  test("an empty archive is an empty tree", async () => {
    const folder = await makeFolder();
    expect(await unpackBytes(Buffer.alloc(10_240), folder)).toMatchObject({ entries: 0 });
    expect(await readdir(folder)).toEqual([]);
  });
});

const dir = (name: string, mode = 0o755): Buffer => tarFile({ name, flag: "5", mode });
const soft = (name: string, linkname: string): Buffer => tarFile({ name, flag: "2", linkname });
const hard = (name: string, linkname: string): Buffer => tarFile({ name, flag: "1", linkname });
const evil = (name: string): Buffer => tarFile({ name }, "evil");

describe("what reaches out of the volume, or is no archive, is refused and leaves nothing", () => {
  const hostile: readonly { when: string; parts: (outside: string) => Buffer[]; code?: string }[] = [
    { when: "an absolute name", parts: (outside) => [evil(`${outside}/new`)] },
    { when: "a name that climbs", parts: () => [evil("../new")] },
    { when: "a name that climbs from below", parts: () => [dir("a"), evil("a/../../new")] },
    { when: "a name that climbs by its PAX header", parts: () => [paxHeader([["path", "../new"]]), evil("a")] },
    { when: "a file through a link out", parts: (outside) => [soft("a", outside), evil("a/new")] },
    { when: "a file through a link that climbs", parts: () => [soft("a", ".."), evil("a/new")] },
    { when: "a file through a link to a folder inside", parts: () => [dir("d"), soft("a", "d"), evil("a/new")] },
    { when: "a file through two links", parts: (outside) => [soft("a", outside), soft("b", "a"), evil("b/new")] },
    { when: "a folder below a link out", parts: (outside) => [soft("a", outside), dir("a/new")] },
    { when: "a link below a link out", parts: (outside) => [soft("a", outside), soft("a/new", "x")] },
    { when: "a hard link to what is outside", parts: (outside) => [hard("a", `${outside}/sentinel`)] },
    { when: "a hard link that climbs", parts: () => [hard("a", "../sentinel")] },
    { when: "a hard link through a link out", parts: (outside) => [soft("a", outside), hard("b", "a/sentinel")] },
    { when: "a hard link to nothing", parts: () => [hard("a", "b")] },
    { when: "a hard link to a folder", parts: () => [dir("a"), hard("b", "a")] },
    { when: "a block device", parts: () => [tarFile({ name: "a", flag: "4" })] },
    { when: "a character device", parts: () => [tarFile({ name: "a", flag: "3" })] },
    { when: "a pipe", parts: () => [tarFile({ name: "a", flag: "6" })] },
    { when: "a disk that is a link", parts: () => [soft("disk.img", "/etc/passwd")] },
    { when: "a link of no target", parts: () => [soft("a", "")] },
    { when: "a file in the place of a folder with content", parts: () => [evil("a/b"), evil("a")] },
    { when: "a file below a file", parts: () => [evil("a"), evil("a/b")] },
    { when: "a name too long for Linux", parts: () => [paxHeader([["path", "x".repeat(300)]]), evil("a")] },
    { when: "a name of NULs", parts: () => [paxHeader([["path", "a\0b"]]), evil("a")] },
    { when: "a file as the root", parts: () => [evil(".")] },
    { when: "an end within a file", parts: () => [tarHeader({ name: "a", size: 5000 }), Buffer.alloc(1024, 1)] },
    { when: "an end within a header", parts: () => [evil("a"), Buffer.alloc(300, 1)] },
    { when: "noise", parts: () => [Buffer.alloc(4096, 0xa7)] },
    { when: "a disk that begins with zeros", parts: () => [Buffer.alloc(8192), Buffer.alloc(8192, 3)] },
    { when: "too few bytes", parts: () => [Buffer.from("tar?")], code: "ImageTooShort" },
  ];

  test.each(hostile)("$when", async ({ parts, code = "ArchiveInvalid" }) => {
    const outside = await makeFolder();
    const folder = join(outside, "volume");
    await mkdir(folder);
    await writeFile(join(outside, "sentinel"), "untouched");
    const isWhole = code === "ArchiveInvalid";
    const bytes = Buffer.concat([...(isWhole ? [] : []), ...parts(outside)]);
    const ended = /end within|noise|zeros|too few/.test(expect.getState().currentTestName ?? "")
      ? bytes
      : Buffer.concat([bytes, tarEnd]);
    const failure = await failureOf(unpackBytes(ended, folder));
    expect(failure).toMatchObject({ code });
    expect(failure.message).not.toContain("\0");
    expect(await readdir(folder)).toEqual([]);
    expect((await readdir(outside)).toSorted()).toEqual(["sentinel", "volume"]);
    expect(await readFile(join(outside, "sentinel"), "utf8")).toBe("untouched");
    expect((await stat(join(outside, "sentinel"))).nlink).toBe(1);
  });

  test("a link out, and then the root's own folder over it, is a folder", async () => {
    const outside = await makeFolder();
    const folder = await makeFolder();
    await unpackBytes(Buffer.concat([soft("a", outside), dir("a"), evil("a/new"), tarEnd]), folder);
    expect((await stat(join(folder, "a", "new"))).isFile()).toBe(true);
    expect(await readdir(outside)).toEqual([]);
  });

  test("a link that lies in the volume is not written through", async () => {
    const outside = await makeFolder();
    const folder = await makeFolder();
    await symlink(outside, join(folder, "a"));
    await unpackBytes(Buffer.concat([evil("a/new"), tarEnd]), folder);
    expect(await readdir(outside)).toEqual([]);
    expect(await readFile(join(folder, "a", "new"), "utf8")).toBe("evil");
  });

  test("the wrong checksum", async () => {
    const folder = await makeFolder();
    const act = unpackBytes(gnuTar(tree, ["."]), folder, { checksum: `md5:${"0".repeat(32)}` });
    expect(await failureOf(act)).toMatchObject({ code: "ChecksumMismatch" });
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(["gz", "xz", "zst"] as const)("a cut %s", async (wrapping) => {
    const bytes = await wrap(gnuTar(tree, ["."]), wrapping);
    const folder = await makeFolder();
    const cut = bytes.subarray(0, bytes.length - 40);
    expect((await failureOf(unpackBytes(cut, folder))).code).toMatch(/^(ImageCorrupt|ArchiveInvalid)$/);
    expect(await readdir(folder)).toEqual([]);
  });

  test("a connection that ends early", async () => {
    const bytes = gnuTar(tree, ["."]);
    const folder = await makeFolder();
    const source = bytesSource(bytes.subarray(0, mib), { path: "/a.tar", sizeBytes: bytes.length });
    expect(await failureOf(unpack(source, folder))).toMatchObject({ code: "SourceCut" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("an import that is stopped", async () => {
    const folder = await makeFolder();
    const stop = new AbortController();
    const source = bytesSource(gnuTar(tree, ["."]).subarray(0, mib), {
      path: "/a.tar",
      sizeBytes: 2 * mib,
      after: "stall",
      onStall: () => stop.abort(new Error("stopped")),
    });
    await expect(unpack(source, folder, { signal: stop.signal })).rejects.toThrow("stopped");
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("room", () => {
  const archive = (): Buffer => gnuTar(tree, ["."]);

  test.each([
    { when: "more than the claim asked for", wanted: { requestBytes: 4 * mib } },
    { when: "more than the folder may hold", wanted: { volumeBytes: 4 * mib } },
  ])("$when is too large, in upstream's words", async ({ wanted }) => {
    const folder = await makeFolder();
    const failure = await failureOf(unpackBytes(archive(), folder, wanted));
    expect(failure).toMatchObject({ code: "TargetTooSmall" });
    expect(failure.message).toContain("is larger than the reported available storage");
    expect(await readdir(folder)).toEqual([]);
  });

  test.skipIf(noLoops)(
    `a volume of files of others is full, and not too small${noLoops ? `: ${noLoops}` : ""}`,
    async () => {
      const volume = await makeExt4(24 * mib);
      await writeFile(join(volume, "neighbour"), Buffer.alloc(12 * mib, 1));
      expect(await failureOf(unpackBytes(archive(), volume))).toMatchObject({ code: "TargetFull" });
      await rm(join(volume, "neighbour"));
      await unpackBytes(archive(), volume);
      expect(await readdir(volume)).toContain("lost+found");
      expect(await readFile(join(volume, "plain"), "utf8")).toBe("plain\n");
    },
  );

  test.skipIf(noLoops)(
    `a file larger than the file system takes is refused${noLoops ? `: ${noLoops}` : ""}`,
    async () => {
      const volume = await makeExt4(24 * mib);
      const sparse = [
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "vast"],
        ["GNU.sparse.realsize", String(2 ** 52)],
      ] as const;
      const bytes = Buffer.concat([paxHeader(sparse), tarFile({ name: "a" }, `0\n${"\0".repeat(510)}`), tarEnd]);
      expect(await failureOf(unpackBytes(bytes, volume))).toMatchObject({ code: "ArchiveInvalid" });
      expect(await readdir(volume)).toEqual(["lost+found"]);
    },
  );

  test("a sparse file takes the room of its data", async () => {
    const folder = await makeFolder();
    await unpackBytes(gnuTar(tree, ["--sparse", sparsePath]), folder, { requestBytes: mib });
    expect((await stat(join(folder, sparsePath))).size).toBe(24 * mib);
  });

  test("a disk that cannot be synced is no success", async () => {
    const folder = await makeFolder();
    const calls = { ...syscalls(), syncFilesystem: () => Promise.reject(new SyscallError("EIO", "syncfs")) };
    const failure = await failureOf(unpackBytes(archive(), folder, { calls }));
    expect(failure).toMatchObject({ code: "TargetIo" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("no descriptor is left open", async () => {
    const before = (await readdir("/proc/self/fd")).length;
    const folder = await makeFolder();
    for (let times = 0; times < 5; times += 1) await unpackBytes(archive(), folder);
    for (let times = 0; times < 5; times += 1) await failureOf(unpackBytes(Buffer.alloc(4096, 1), folder));
    await expect.poll(async () => (await readdir("/proc/self/fd")).length).toBeLessThanOrEqual(before + 2);
  });
});

test.skipIf(process.getuid?.() !== 0)("a volume of the pod's group: what is unpacked is the group's too", async () => {
  const folder = await makeFolder();
  await chown(folder, 0, 107);
  await chmod(folder, 0o2770);
  await unpackBytes(gnuTar(tree, ["."]), folder);
  for (const name of ["plain", "sub", "sub/deep/deeper/leaf"]) expect((await stat(join(folder, name))).gid).toBe(107);
  expect((await stat(folder)).mode & 0o7777).toBe(0o2770);
});
