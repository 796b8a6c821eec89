// A tree reached through held folders only: each step down opens one name below an open folder and follows no link, so that no
// link in the tree, however it came there, leads anywhere else. Linux offers that by /proc/self/fd.
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
} from "node:fs";
import { codeOf } from "../../lib/syscalls.ts";
import { refused, shownName } from "./names.ts";

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** An open folder. Names below it are single: no slash, no "..". */
export class Folder {
  readonly fd: number;
  private constructor(fd: number) {
    this.fd = fd;
  }

  /** @param path is followed wherever it leads. @throws the errno */
  static root(path: string): Folder {
    return new Folder(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
  }

  /** Where a name below it is reached; the last step is the caller's, who must not follow it. */
  at(name: Buffer): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.fd}/`), name]);
  }

  /** @returns undefined where there is nothing */
  look(name: Buffer): Stats | undefined {
    return lstatSync(this.at(name), { throwIfNoEntry: false });
  }

  /** @throws ENOENT, ENOTDIR (also for a link) and what else the kernel has to say */
  open(name: Buffer): Folder {
    return new Folder(openSync(this.at(name), folderFlags));
  }

  /** Opens it, made if it is not there. @throws Fault ArchiveInvalid where a link or a file is in its place */
  enter(name: Buffer): Folder {
    for (let isMade = false; ; isMade = true) {
      try {
        return this.open(name);
      } catch (cause) {
        const code = codeOf(cause);
        if (code === "ENOENT" && !isMade) {
          // As tar does for folders the archive does not name: by the umask, with the group of the folder above.
          mkdirSync(this.at(name), 0o777);
          continue;
        }
        if (code !== "ENOTDIR" && code !== "ELOOP") throw cause;
        const what = this.look(name)?.isSymbolicLink() ? "through the link" : "below the file";
        throw refused(`an entry would be written ${what} ${shownName(name)}`, cause);
      }
    }
  }

  /** What is below it, in no order. */
  names(): Buffer[] {
    return readdirSync(this.at(Buffer.from(".")), { encoding: "buffer" }) as unknown as Buffer[];
  }

  get mode(): number {
    return fstatSync(this.fd).mode & 0o7777;
  }
  setMode(mode: number): void {
    fchmodSync(this.fd, mode);
  }
  setTime(seconds: number): void {
    futimesSync(this.fd, seconds, seconds);
  }
  close(): void {
    closeSync(this.fd);
  }
}

/** The folder a path of names leads to, from `root`. The caller closes it, and must leave `root` open. */
export function descend(root: Folder, names: readonly Buffer[], step: "open" | "enter"): Folder {
  let folder = root;
  for (const name of names) {
    try {
      const next = folder[step](name);
      if (folder !== root) folder.close();
      folder = next;
    } catch (cause) {
      if (folder !== root) folder.close();
      throw cause;
    }
  }
  return folder;
}
