// Layers written over each other: what an image's root holds at the end, and what no layer gets to do.
import { lstat, mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { ImageRoot } from "../../../importer/pull/image-root.ts";
import { walkTar } from "../../../src/datapath/index.ts";
import { Fault } from "../../../src/lib/faults.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { randomFrom } from "../../support/random-qcow2.ts";
import { makeFolder } from "../../support/loop.ts";
import { tarEnd, tarFile, type RawHeader } from "../../support/tars.ts";

const isRoot = process.getuid?.() === 0;
const file = (name: string, text = "x", more: Partial<RawHeader> = {}): Buffer => tarFile({ name, ...more }, text);
const folder = (name: string, mode = 0o755): Buffer => tarFile({ name, flag: "5", mode });
const symlink = (name: string, linkname: string): Buffer => tarFile({ name, flag: "2", linkname });
const hardlink = (name: string, linkname: string): Buffer => tarFile({ name, flag: "1", linkname });
const device = (name: string): Buffer => tarFile({ name, flag: "3" });
const gone = (name: string): Buffer => file(name, "");

interface World {
  root: string;
  outside: string;
  limitBytes?: number;
}
async function makeWorld(): Promise<World> {
  const top = await makeFolder("cdi-image-root-");
  const world = { root: join(top, "root"), outside: join(top, "outside") };
  await mkdir(world.root);
  await mkdir(world.outside);
  await writeFile(join(world.outside, "kept"), "kept");
  return world;
}

async function write(layers: readonly Buffer[][], { root, limitBytes = 2 ** 30 }: World): Promise<ImageRoot> {
  const { signal } = new AbortController();
  const image = new ImageRoot({ folder: root, limitBytes, owners: isRoot, signal, log: silentLog });
  onTestFinished(() => image.close());
  for (const parts of layers) {
    for await (const entry of walkTar(Readable.from([Buffer.concat([...parts, tarEnd])]))) await image.put(entry);
  }
  image.finish();
  return image;
}

/** "name" of folders, "name=content" of files, "name>target" of links. */
async function listed(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const rows = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.isSymbolicLink()) return `${name}>${await readlink(path)}`;
    return entry.isFile() ? `${name}=${await readFile(path, "utf8")}` : name;
  });
  return (await Promise.all(rows)).sort();
}

test.each<{ when: string; layers: Buffer[][]; root: string[] }>([
  {
    when: "one layer",
    layers: [[folder("disk/"), file("disk/disk.img", "image")]],
    root: ["disk", "disk/disk.img=image"],
  },
  { when: "a file without its folder", layers: [[file("disk/disk.img")]], root: ["disk", "disk/disk.img=x"] },
  {
    when: "absolute names",
    layers: [[file("/disk/a"), hardlink("/disk/b", "/disk/a")]],
    root: ["disk", "disk/a=x", "disk/b=x"],
  },
  { when: "a later layer's file", layers: [[file("a", "old")], [file("a", "new")]], root: ["a=new"] },
  { when: "a file taken away", layers: [[file("d/a"), file("d/b")], [gone("d/.wh.a")]], root: ["d", "d/b=x"] },
  { when: "a folder taken away", layers: [[file("d/e/a"), file("d/b")], [gone("d/.wh.e")]], root: ["d", "d/b=x"] },
  { when: "what is not there taken away", layers: [[file("a")], [gone(".wh.b"), gone("c/.wh.d")]], root: ["a=x"] },
  {
    when: "a folder made anew",
    layers: [
      [file("d/a"), file("d/e/f")],
      [folder("d/"), gone("d/.wh..wh..opq"), file("d/c")],
    ],
    root: ["d", "d/c=x"],
  },
  {
    when: "a folder taken away that was written last, and made again",
    layers: [[file("d/a")], [file("d/b"), gone(".wh.d"), file("d/c")]],
    root: ["d", "d/c=x"],
  },
  { when: "a file in a folder's place", layers: [[file("d/a")], [file("d", "file")]], root: ["d=file"] },
  { when: "a folder in a file's place", layers: [[file("d")], [folder("d/"), file("d/a")]], root: ["d", "d/a=x"] },
  { when: "a link in a folder's place", layers: [[file("d/a")], [symlink("d", "/etc")]], root: ["d>/etc"] },
  { when: "devices are passed over", layers: [[device("dev/null"), file("a")]], root: ["a=x"] },
])("$when", async ({ layers, root }) => {
  const world = await makeWorld();
  await write(layers, world);
  expect(await listed(world.root)).toEqual(root);
});

test.each<{ when: string; layers: (outside: string) => Buffer[][] }>([
  { when: "a name that leads out", layers: () => [[file("../outside/kept")]] },
  { when: "a file through a link", layers: (outside) => [[symlink("d", outside), file("d/kept", "lost")]] },
  { when: "a file through a link of a layer below", layers: (outside) => [[symlink("d", outside)], [file("d/kept")]] },
  { when: "a folder through a link", layers: (outside) => [[symlink("d", outside)], [folder("d/new/")]] },
  { when: "a link to what is outside", layers: () => [[hardlink("kept", "../outside/kept")]] },
  { when: "a link through a link", layers: (outside) => [[symlink("d", outside), hardlink("kept", "d/kept")]] },
  { when: "a link to the folder it makes", layers: () => [[hardlink("a/b", "a")]] },
  { when: "a link to nothing", layers: () => [[hardlink("a", "b")]] },
  { when: "something without a name taken away", layers: () => [[gone("d/.wh.")]] },
  { when: "the folder above taken away", layers: () => [[file("d/a"), gone("d/.wh...")]] },
])("refused: $when", async ({ layers }) => {
  const world = await makeWorld();
  await expect(write(layers(world.outside), world)).rejects.toMatchObject({ code: "ArchiveInvalid" });
  expect(await listed(world.outside)).toEqual(["kept=kept"]);
});

test("nothing outside is taken away through a link", async () => {
  const world = await makeWorld();
  await write([[symlink("d", world.outside)], [gone("d/.wh.kept"), gone("d/.wh..wh..opq")]], world);
  expect(await listed(world.outside)).toEqual(["kept=kept"]);
});

test("more than there is room for", async () => {
  const world = { ...(await makeWorld()), limitBytes: 1000 };
  await expect(write([[file("a", "x".repeat(1001))]], world)).rejects.toMatchObject({ code: "TargetFull" });
});

test.skipIf(!isRoot)("owners and modes are the layers'", async () => {
  const world = await makeWorld();
  // Fields of a header: uid at 108, gid at 116.
  const owned = [
    [108, "0000153\0"],
    [116, "0000154\0"],
  ] as const;
  const disk = file("disk/disk.img", "x", { mode: 0o440, also: owned });
  await write([[folder("disk/", 0o500), disk, symlink("link", "/disk/disk.img")]], world);
  const found = await lstat(join(world.root, "disk/disk.img"));
  expect({ uid: found.uid, gid: found.gid, mode: found.mode & 0o7777 }).toEqual({ uid: 107, gid: 108, mode: 0o440 });
  expect((await lstat(join(world.root, "disk"))).mode & 0o7777).toBe(0o500);
  expect((await lstat(world.root)).mode & 0o7777).toBe(0o755);
});

const names = ["a", "b", "d", "kept", ".wh.a", ".wh.d", ".wh.kept", ".wh..wh..opq", "..", ".", ""];

/** One entry of any kind, within or without. */
function anyEntry(below: (count: number) => number, outside: string): Buffer {
  const pick = <T>(some: readonly [T, ...T[]]): T => some[below(some.length)] ?? some[0];
  const path = (): string => Array.from({ length: 1 + below(3) }, () => names[below(names.length)]).join("/") || "a";
  const target = (): string => pick([outside, "../outside", "/", "a", "d/kept", "."]);
  return pick([
    () => file(path(), "new"),
    () => folder(`${path()}/`),
    () => symlink(path(), target()),
    () => hardlink(path(), pick([path(), target()])),
    () => device(path()),
  ])();
}

test("layers thrown together: what cannot be is refused, and nothing happens outside", async () => {
  for (let seed = 0; seed < (process.env["CDI_TEST_LONG"] ? 1000 : 100); seed += 1) {
    const world = await makeWorld();
    const below = randomFrom(seed);
    const { signal } = new AbortController();
    const image = new ImageRoot({ folder: world.root, limitBytes: 2 ** 20, owners: isRoot, signal, log: silentLog });
    for (let count = 0; count < 40; count += 1) {
      const bytes = Buffer.concat([anyEntry(below, world.outside), tarEnd]);
      for await (const one of walkTar(Readable.from([bytes]))) {
        const failure: unknown = await image.put(one).catch((cause: unknown) => cause);
        if (failure !== undefined && !(failure instanceof Fault)) {
          throw new Error(`seed ${seed}, ${one.type} ${one.name} to ${one.linkname}`, { cause: failure });
        }
      }
    }
    image.finish();
    image.close();
    expect({ seed, outside: await listed(world.outside) }).toEqual({ seed, outside: ["kept=kept"] });
    expect((await readdir(join(world.root, ".."))).toSorted()).toEqual(["outside", "root"]);
  }
});
