// An image's file system in a folder: its layers written one over the other, base first, with what a layer takes away taken away
// (OCI image spec, "Whiteouts"). Written through held folders, so that no link of any layer leads out of it.
import { lchownSync, rmSync } from "node:fs";
import { Folder, TreeWriter, componentsOf, descend, type TarEntry } from "../../src/datapath/index.ts";
import { Fault } from "../../src/lib/faults.ts";
import type { Log } from "../../src/lib/log.ts";
import { codeOf, syscalls } from "../../src/lib/syscalls.ts";

export interface ImageRootOptions {
  /** Empty. */
  readonly folder: string;
  /** No more than this is stored, bytes. */
  readonly limitBytes: number;
  /** Files get the owners the layers say. Root only. */
  readonly owners: boolean;
  readonly signal: AbortSignal;
  readonly log: Log;
}

const mark = Buffer.from(".wh.");
const opaque = Buffer.from(".wh..wh..opq");
/** Entries of all layers; a distribution has a tenth of it. */
const mostEntries = 1_000_000;

export class ImageRoot {
  readonly #options: ImageRootOptions;
  readonly #root: Folder;
  readonly #writer: TreeWriter;

  /** @throws the errno */
  constructor(options: ImageRootOptions) {
    const { folder, limitBytes, signal, log } = options;
    this.#options = options;
    this.#root = Folder.root(folder);
    this.#root.setMode(0o755);
    this.#writer = new TreeWriter({ root: this.#root, limitBytes, calls: syscalls(), log, signal });
  }

  get sizeBytes(): number {
    return this.#writer.writtenBytes;
  }

  /** @throws Fault ArchiveInvalid for what leads out or cannot be, and the errno of what the kernel refuses */
  async put(entry: TarEntry): Promise<void> {
    // Container runtimes read an absolute name as one from the image's root.
    const relative = { ...entry, nameBytes: fromRoot(entry.nameBytes), linkBytes: entry.linkBytes };
    if (entry.type === "link") relative.linkBytes = fromRoot(entry.linkBytes);
    const names = componentsOf(relative.nameBytes);
    const name = names.at(-1);
    if (!name) return;
    if (name.subarray(0, mark.length).equals(mark)) return this.#takeAway(names, name);
    if (["character", "block", "fifo"].includes(entry.type)) {
      this.#options.log.info("Passing over a device or pipe of the image", { name: entry.name });
      return;
    }
    if (this.#writer.entries >= mostEntries)
      throw new Fault("ImageRefused", `the image has more than ${mostEntries} files`);
    if (entry.type !== "directory") this.#within(names, (above) => this.#clear(above, name, "directories"));
    await this.#writer.put(relative).catch((cause: unknown) => {
      if (!(cause instanceof Fault) || cause.code !== "TargetTooSmall") throw cause;
      const { limitBytes } = this.#options;
      throw new Fault("TargetFull", `the image's files need more than the ${limitBytes} bytes there are`, { cause });
    });
    if (this.#options.owners && entry.type !== "link" && entry.type !== "other") {
      this.#within(names, (above) => lchownSync(above.at(name), entry.uid, entry.gid));
    }
  }

  /** Folders get their modes, which may shut us out. */
  finish(): void {
    this.#writer.close();
    for (const { names, mode } of this.#writer.later) {
      this.#within([...names, Buffer.from(".")], (folder) => folder.setMode(mode));
    }
  }

  close(): void {
    this.#writer.close();
    this.#root.close();
  }

  #takeAway(names: readonly Buffer[], name: Buffer): void {
    if (name.equals(opaque)) {
      this.#within(names, (above) => {
        for (const inner of above.names()) this.#clear(above, inner, "all");
      });
      return;
    }
    const gone = name.subarray(mark.length);
    if (componentsOf(gone).length !== 1) throw new Fault("ArchiveInvalid", "the layer takes away what has no name");
    this.#within(names, (above) => this.#clear(above, gone, "all"));
  }

  #clear(above: Folder, name: Buffer, what: "all" | "directories"): void {
    const there = above.look(name);
    if (!there || (what === "directories" && !there.isDirectory())) return;
    // The writer keeps the last folder open; it may be this one.
    this.#writer.close();
    rmSync(above.at(name), { recursive: true, force: true });
  }

  /** In the folder a path's last name is in, if it is there. */
  #within(names: readonly Buffer[], act: (above: Folder) => void): void {
    let above: Folder = this.#root;
    try {
      above = descend(this.#root, names.slice(0, -1), "open");
      act(above);
    } catch (cause) {
      // No such folder, or taken away by a later layer; a link in its place is the writer's to refuse.
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(cause) ?? "")) throw cause;
    } finally {
      if (above !== this.#root) above.close();
    }
  }
}

function fromRoot(name: Buffer): Buffer {
  let start = 0;
  while (name[start] === 0x2f) start += 1;
  return name.subarray(start);
}
