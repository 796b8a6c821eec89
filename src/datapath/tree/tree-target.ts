// A volume that takes a tree: it is written into a folder of its own beside what is there, and moved to the root only when all of
// it came. Half a tree is never seen.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../lib/faults.ts";
import { silentLog, type Log } from "../../lib/log.ts";
import { codeOf, syscalls, type Syscalls } from "../../lib/syscalls.ts";
import { availableOf } from "../sinks/growth.ts";
import { targetFault } from "../sinks/target-faults.ts";
import { freeBytesOf, emptyBytesOf } from "../sinks/target-space.ts";
import type { TarEntry } from "../tar/entry.ts";
import { descend, Folder } from "./folders.ts";
import { moveInto } from "./merge.ts";
import { TreeWriter } from "./tree-writer.ts";

export interface TreeTargetOptions {
  /** The volume's root. */
  folder: string;
  /** What the claim asked for; bounds the tree. */
  requestBytes?: number | undefined;
  /** Size of the volume where it is a mere folder of the host; default: what the file system says. */
  volumeBytes?: number | undefined;
  signal: AbortSignal;
  log?: Log;
  /** Default: those of this machine. */
  calls?: Syscalls;
}

export interface TreeTarget {
  readonly path: string;
  readonly availableBytes: number;
  /** As a Sink's. */
  readonly emptyBytes?: number;
  readonly writtenBytes: number;
  readonly entries: number;
  /** @throws Fault */
  put(entry: TarEntry): Promise<void>;
  /** Moves the tree to the root, and waits until it is on the disk. Nothing may be put after it. @throws Fault */
  commit(): Promise<void>;
  /** Leaves nothing of an unfinished tree. Logs its own trouble, never throws. */
  discard(): void;
}

const partName = Buffer.from(".cdi-archive.part");

/** @throws Fault when the folder cannot be written */
export async function treeTarget(options: TreeTargetOptions): Promise<TreeTarget> {
  const { folder: path, requestBytes, volumeBytes, signal, log = silentLog, calls = syscalls() } = options;
  const root = guarded(`open ${path}`, () => Folder.root(path));
  const part = guarded(`write ${path}`, () => makePart(root));
  const space = await spaceOf(path, volumeBytes).catch((cause: unknown) => {
    part.close();
    root.close();
    throw targetFault(cause, `look at ${path}`);
  });
  const availableBytes = availableOf({ freeBytes: space.freeBytes, requestBytes, overhead: 0 });
  const emptyBytes = space.emptyBytes && availableOf({ freeBytes: space.emptyBytes, requestBytes, overhead: 0 });
  const writer = new TreeWriter({ root: part, limitBytes: availableBytes, calls, log, signal });

  function finishFolders(): void {
    for (const { names, mode, mtimeSeconds } of writer.later) {
      let folder: Folder | undefined;
      try {
        folder = descend(root, names, "open");
        folder.setMode(mode);
        folder.setTime(mtimeSeconds);
      } catch (cause) {
        // Another's, such as lost+found: the archive has no say there.
        if (codeOf(cause) !== "EPERM") throw cause;
      } finally {
        if (folder !== root) folder?.close();
      }
    }
  }

  return {
    path,
    availableBytes,
    ...(emptyBytes === undefined ? {} : { emptyBytes }),
    get writtenBytes() {
      return writer.writtenBytes;
    },
    get entries() {
      return writer.entries;
    },
    async put(entry) {
      try {
        await writer.put(entry);
      } catch (cause) {
        if (signal.aborted || isForeign(cause)) throw cause;
        throw asFault(cause, `write ${join(path, entry.name)}`);
      }
    },
    async commit() {
      writer.close();
      await calls.syncFilesystem(root.fd).catch((cause: unknown) => {
        throw targetFault(cause, `sync ${path}`);
      });
      guarded(`finish ${path}`, () => {
        moveInto(part, root);
        rmSync(root.at(partName), { recursive: true });
        finishFolders();
      });
      await calls.syncFilesystem(root.fd).catch((cause: unknown) => {
        throw targetFault(cause, `sync ${path}`);
      });
      part.close();
      root.close();
      log.info(`Successfully completed fsync(${path}) syscall`, {
        entries: writer.entries,
        writtenBytes: writer.writtenBytes,
      });
    },
    discard() {
      try {
        writer.close();
        part.close();
        rmSync(root.at(partName), { recursive: true, force: true });
        root.close();
      } catch (cause) {
        log.warn("Removing the unfinished tree failed", { path, error: String(cause) });
      }
    },
  };
}

function makePart(root: Folder): Folder {
  // An earlier run's; what it left is of no use, for the archive comes from its beginning again.
  rmSync(root.at(partName), { recursive: true, force: true });
  mkdirSync(root.at(partName), 0o700);
  return root.open(partName);
}

async function spaceOf(
  path: string,
  volumeBytes?: number,
): Promise<{ freeBytes: number; emptyBytes?: number | undefined }> {
  const freeBytes = await freeBytesOf(path, [], volumeBytes);
  return volumeBytes === undefined ? { freeBytes, emptyBytes: await emptyBytesOf(path, freeBytes) } : { freeBytes };
}

/** Not the target's error: the source's, or one with a place in the catalog already. */
const isForeign = (cause: unknown): boolean => cause instanceof Fault || codeOf(cause) === undefined;

/** Names and sizes that this file system cannot hold are the archive's fault: they will not fit next time either. */
function asFault(cause: unknown, place: string): Fault {
  const code = codeOf(cause);
  if (["ENAMETOOLONG", "EILSEQ", "ELOOP", "EFBIG"].includes(code ?? ""))
    return new Fault("ArchiveInvalid", `the tar archive is refused: ${place}: ${code}`, { cause });
  return targetFault(cause, place);
}

function guarded<T>(place: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw cause instanceof Fault ? cause : targetFault(cause, place);
  }
}
