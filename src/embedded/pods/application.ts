// The program files every pod sees at their own paths: the checkout or package, and interpreters that live elsewhere.
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { bindOf, type Mount } from "./launch.ts";

/** Bound into each pod anyway. */
const hostFolders = ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/etc/"];
const isUnder = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

export async function applicationMounts(
  appDirs: readonly string[],
  images: Readonly<Record<string, readonly string[]>>,
): Promise<Mount[]> {
  const mounts = appDirs.map((dir) => bindOf(dir, dir, true));
  const seen = [...appDirs];
  const wanted = appDirs.map((dir) => join(dir, "node_modules"));
  for (const argv of Object.values(images)) for (const word of argv) if (word.startsWith("/")) wanted.push(word);
  for (const path of wanted) {
    const real = await realpath(path).catch(() => undefined); // not installed, or a path inside the pod
    if (!real) continue;
    for (const place of [path, real]) {
      if (hostFolders.some((folder) => place.startsWith(folder))) continue;
      if (seen.some((dir) => isUnder(place, dir))) continue;
      mounts.push(bindOf(real, place, true));
      seen.push(place);
    }
  }
  return mounts;
}

const entriesLooked = 2000;

/** What programs read; the rest of a checkout (fixtures with keys, a data folder) may well be closed. */
const programFolders = ["dist", "bin", "node_modules"];

/** Is there a program file that an ordinary user could not read? (A checkout made with umask 077.) */
export async function isClosedToOthers(dirs: readonly string[]): Promise<boolean> {
  const line = dirs.flatMap((dir) => programFolders.map((name) => join(dir, name)));
  let looked = 0;
  for (let dir = line.shift(); dir !== undefined && looked < entriesLooked; dir = line.shift()) {
    const own = await stat(dir).catch(() => undefined); // gone meanwhile
    if (own && (own.mode & 0o005) !== 0o005) return true;
    for (const name of await readdir(dir).catch(() => [])) {
      if (name === ".git" || looked >= entriesLooked) continue;
      looked += 1;
      const path = join(dir, name);
      const entry = await lstat(path).catch(() => undefined); // gone meanwhile
      if (entry?.isFile() && (entry.mode & 0o004) === 0) return true;
      if (entry?.isDirectory()) line.push(path);
    }
  }
  return false;
}
