// Moves a finished tree to where it belongs: what is there under the same name gives way, folders are joined.
import { lstatSync, renameSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import type { Folder } from "./folders.ts";

/** What its owner needs to write in a folder. */
const ownerAll = 0o700;

/** Leaves `from` empty. Both on one file system. @throws the errno */
export function moveInto(from: Folder, to: Folder): void {
  for (const name of from.names()) {
    const isFolder = lstatSync(from.at(name)).isDirectory();
    const there = to.look(name);
    if (there?.isDirectory() && isFolder) {
      join(from, to, name);
      continue;
    }
    if (there?.isDirectory()) rmSync(to.at(name), { recursive: true });
    else if (there) unlinkSync(to.at(name));
    renameSync(from.at(name), to.at(name));
  }
}

function join(from: Folder, to: Folder, name: Buffer): void {
  const [below, target] = [from.open(name), to.open(name)];
  try {
    const { mode } = target;
    const isClosed = (mode & ownerAll) !== ownerAll;
    if (isClosed) target.setMode(mode | ownerAll);
    moveInto(below, target);
    if (isClosed) target.setMode(mode);
  } finally {
    below.close();
    target.close();
  }
  rmdirSync(from.at(name));
}
