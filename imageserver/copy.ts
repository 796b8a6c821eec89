// Copies the server to where the image under import will see it: the runtime, the dynamic loader, every library the runtime
// has loaded, and this program's own file.
import { constants } from "node:fs";
import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { copied, failureFileOf, nodePull } from "../src/contract/node-pull.ts";

export interface Runtime {
  /** The executable. */
  readonly executable: string;
  /** Loader and libraries in use, as the kernel and the loader name them. */
  readonly loaded: readonly string[];
  /** This program's file. */
  readonly program: string;
}

/** The dynamic loader has a name of its own on each architecture: ld-linux-x86-64.so.2, ld-linux-aarch64.so.1. */
const isLoader = (path: string): boolean => /^ld(-linux[^/]*|-musl[^/]*|64)?\.so(\.\d+)?$/.test(basename(path));

/** A list of libraries which the loader loads into whatever it starts, and no option keeps it from reading. */
const preloadList = "/etc/ld.so.preload\0";

/** Takes that name out of the copy: the list would be the one of the image under import. */
export function deafened(loader: Buffer): Buffer {
  const deaf = Buffer.from(loader);
  for (let at = deaf.indexOf(preloadList); at >= 0; at = deaf.indexOf(preloadList, at)) deaf[at] = 0;
  return deaf;
}

async function makeDeaf(path: string): Promise<void> {
  const loader = await readFile(path);
  await writeFile(path, deafened(loader));
}

/** @returns rows of from and to; a program linked without libraries has no loader. @throws Error where there is none */
export function copiesOf({ executable, loaded, program }: Runtime, folder: string): [from: string, to: string][] {
  // linux-vdso.so.1 is the kernel's, and no file.
  const files = loaded.filter((path) => path.startsWith("/"));
  const loader = files.find(isLoader);
  if (loader === undefined) throw new Error(`${executable} has no dynamic loader that could be copied`);
  const libraries = files.filter((path) => path !== loader);
  return [
    [executable, join(folder, copied.runtime)],
    [program, join(folder, copied.program)],
    [loader, join(folder, copied.loader)],
    ...libraries.map((path): [string, string] => [path, join(folder, copied.libraries, basename(path))]),
  ];
}

/**
 * Each file is whole or not there, so that a run that was killed half-way is simply run again. A node that started anew keeps the
 * folder: an importer that saw the last server's word would ask before this one is there. (The done file is the server's to see.)
 */
export async function copyRuntime(runtime: Runtime, folder: string): Promise<void> {
  const ready = join(folder, basename(nodePull.readyFile));
  for (const stale of [ready, failureFileOf(ready)]) await rm(stale, { force: true });
  for (const [from, to] of copiesOf(runtime, folder)) {
    await mkdir(dirname(to), { recursive: true });
    const beside = `${to}.new`;
    await rm(beside, { force: true });
    // Shares the blocks where the file system can.
    await copyFile(from, beside, constants.COPYFILE_FICLONE);
    await chmod(beside, 0o755);
    if (isLoader(from)) await makeDeaf(beside);
    await rename(beside, to);
  }
}
