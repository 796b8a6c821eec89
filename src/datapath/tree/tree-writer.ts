// Writes the entries of an archive as a tree below one folder, as `tar --preserve-permissions --no-same-owner` does: content,
// modes, times, links. Nothing of it is outside the folder, a device or a pipe, or written through a link.
import {
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lutimesSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  write,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import type { Log } from "../../lib/log.ts";
import { codeOf, type Syscalls } from "../../lib/syscalls.ts";
import { tooSmall } from "../sinks/target-faults.ts";
import { WritebackWindow } from "../sinks/writeback-window.ts";
import { isZero } from "../sinks/zero-blocks.ts";
import type { TarEntry } from "../tar/entry.ts";
import { descend, type Folder } from "./folders.ts";
import { componentsOf, refused, shownName } from "./names.ts";

const writeAt = promisify(write);

export interface TreeWriterOptions {
  root: Folder;
  /** No more than this is stored, bytes. */
  limitBytes: number;
  calls: Syscalls;
  log: Log;
  signal: AbortSignal;
}

/** What a folder gets when all is written: before, it would keep us out, or lose its time, or its group for what is made in it. */
export interface LaterFolder {
  readonly names: readonly Buffer[];
  readonly mode: number;
  readonly mtimeSeconds: number;
}
/** Folders remembered for the end. */
const mostLater = 64 * 1024;
/** What the owner needs to write on. */
const ownerAll = 0o700;
/** Files from here on have their dirty pages bounded. */
const windowedBytes = 8 * 1024 * 1024;
/** So little goes into the page cache sooner than a worker thread is woken for it. */
const sameThreadBytes = 128 * 1024;
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class TreeWriter {
  readonly #options: TreeWriterOptions;
  readonly #later = new Map<string, LaterFolder>();
  /** The folder of the last entry, open: the next entry is in it as a rule. */
  #last: { key: string; folder: Folder } | undefined;
  entries = 0;
  /** Bytes stored, holes left out. */
  writtenBytes = 0;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
  }

  /** Folders to be finished, the innermost first. */
  get later(): LaterFolder[] {
    return [...this.#later.values()].toSorted((a, b) => b.names.length - a.names.length);
  }

  /** @throws Fault ArchiveInvalid, TargetTooSmall, and the errno of what the kernel refuses */
  async put(entry: TarEntry): Promise<void> {
    this.#options.signal.throwIfAborted();
    this.entries += 1;
    const names = componentsOf(entry.nameBytes);
    switch (entry.type) {
      case "directory":
        return this.#putFolder(names, entry);
      case "file":
        return await this.#putFile(names, entry);
      case "symlink":
        return this.#putSymlink(names, entry);
      case "link":
        return this.#putLink(names, entry);
      case "other":
        this.#options.log.warn("Passing over an entry of a type nobody knows", { name: entry.name });
        return;
      default:
        throw refused(`${shownName(entry.nameBytes)} is a ${entry.type === "fifo" ? "pipe" : `${entry.type} device`}`);
    }
  }

  /** Lets go of what is open. */
  close(): void {
    this.#last?.folder.close();
    this.#last = undefined;
  }

  #folderOf(names: readonly Buffer[]): Folder {
    const { root } = this.#options;
    const above = names.slice(0, -1);
    if (above.length === 0) return root;
    const key = keyOf(above);
    if (this.#last?.key === key) return this.#last.folder;
    this.close();
    const folder = descend(root, above, "enter");
    this.#last = { key, folder };
    return folder;
  }

  #putFolder(names: readonly Buffer[], { mode, mtimeSeconds }: TarEntry): void {
    const name = names.at(-1);
    // The root is its volume's: its owner and mode are not the archive's to say.
    if (!name) return;
    const above = this.#folderOf(names);
    const there = above.look(name);
    if (there && !there.isDirectory()) unlinkSync(above.at(name));
    const folder = above.enter(name);
    const key = keyOf(names);
    try {
      // Beyond what is remembered a folder gets its mode at once, as long as that does not shut us out.
      if (this.#later.size >= mostLater && !this.#later.has(key)) {
        if ((mode & ownerAll) !== ownerAll)
          throw refused(`more than ${mostLater} folders, and one of them closed to its owner`);
        return folder.setMode(mode);
      }
    } finally {
      folder.close();
    }
    this.#later.set(key, { names, mode, mtimeSeconds });
  }

  async #putFile(names: readonly Buffer[], entry: TarEntry): Promise<void> {
    const name = nameOf(names, entry);
    const fd = this.#making(names, name, (path) => openSync(path, createFlags, 0o600));
    try {
      await this.#fill(fd, entry);
      fchmodSync(fd, entry.mode);
      futimesSync(fd, entry.mtimeSeconds, entry.mtimeSeconds);
    } finally {
      closeSync(fd);
    }
  }

  async #fill(fd: number, entry: TarEntry): Promise<void> {
    const { calls, limitBytes, signal } = this.#options;
    const window = entry.sizeBytes >= windowedBytes ? new WritebackWindow(fd, calls) : undefined;
    let endBytes = 0;
    for await (const { offset, bytes } of entry.pieces()) {
      signal.throwIfAborted();
      if (isZero(bytes)) continue;
      this.writtenBytes += bytes.length;
      if (this.writtenBytes > limitBytes) throw tooSmall(this.writtenBytes, limitBytes);
      for (let done = 0; done < bytes.length;) {
        const left = bytes.length - done;
        if (left <= sameThreadBytes && !window) done += writeSync(fd, bytes, done, left, offset + done);
        else done += (await writeAt(fd, bytes, done, left, offset + done)).bytesWritten;
      }
      await window?.note(offset, bytes.length);
      endBytes = offset + bytes.length;
    }
    if (endBytes < entry.sizeBytes) ftruncateSync(fd, entry.sizeBytes);
  }

  #putSymlink(names: readonly Buffer[], entry: TarEntry): void {
    const name = nameOf(names, entry);
    // A virtual machine's disk is opened by its name: it must be here, not somewhere in the node's file system.
    if (names.length === 1 && name.equals(Buffer.from("disk.img"))) throw refused('"disk.img" is a link');
    if (entry.linkBytes.length === 0) throw refused(`the link ${shownName(entry.nameBytes)} leads nowhere`);
    this.#making(names, name, (path) => symlinkSync(entry.linkBytes, path));
    lutimesSync(this.#folderOf(names).at(name), entry.mtimeSeconds, entry.mtimeSeconds);
  }

  #putLink(names: readonly Buffer[], entry: TarEntry): void {
    const name = nameOf(names, entry);
    const target = componentsOf(entry.linkBytes);
    const last = target.at(-1);
    if (!last) throw refused(`${shownName(entry.nameBytes)} is a link to a folder`);
    if (keyOf(target) === keyOf(names)) return;
    const { root } = this.#options;
    let from = root;
    try {
      from = descend(root, target.slice(0, -1), "open");
      const there = from.look(last);
      // The link's own folders, made next, must not become what it leads to.
      if (!there) throw refused(`${shownName(entry.nameBytes)} is a link to what is not in the archive before it`);
      if (there.isDirectory()) throw refused(`${shownName(entry.nameBytes)} is a link to a folder`);
      this.#making(names, name, (path) => linkSync(from.at(last), path));
    } catch (cause) {
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(cause) ?? "")) throw cause;
      throw refused(`${shownName(entry.nameBytes)} is a link to what is not in the archive before it`, cause);
    } finally {
      if (from !== root) from.close();
    }
  }

  /** What comes later in an archive takes the place of what came before. */
  #making<T>(names: readonly Buffer[], name: Buffer, make: (path: Buffer) => T): T {
    const folder = this.#folderOf(names);
    const path = folder.at(name);
    try {
      return make(path);
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST") throw cause;
    }
    try {
      if (folder.look(name)?.isDirectory()) rmdirSync(path);
      else unlinkSync(path);
    } catch (cause) {
      if (codeOf(cause) === "ENOTEMPTY") throw refused(`${shownName(name)} takes the place of a folder`, cause);
      throw cause;
    }
    this.#later.delete(keyOf(names));
    return make(path);
  }
}

const keyOf = (names: readonly Buffer[]): string => names.map((name) => name.toString("latin1")).join("/");

function nameOf(names: readonly Buffer[], { nameBytes }: TarEntry): Buffer {
  const name = names.at(-1);
  if (!name) throw refused(`${shownName(nameBytes)} is no name for a file`);
  return name;
}
