// Certificate and key files as a server uses them: read at the start, and again when they change on disk, so that renewed
// ones are in use without a restart. Mounted Secrets swap a link, which a watch of the folder sees; a slow poll stands behind it.
import { watch, type FSWatcher } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";

export interface WatchedFiles {
  /** The present texts, in the order of the paths. */
  readonly texts: readonly string[];
  close(): void;
}

const pollMs = 30_000;
/** A swap comes as several events; the files are read once it is quiet, ms. */
const quietMs = 200;

/**
 * @param onChange called after the texts have changed; its failure, and a file that cannot be read, go to `onTrouble` and the
 * former texts stay in use
 * @throws the file system's error when a file is not there at the start
 */
export async function watchFiles(
  paths: readonly string[],
  onChange: (texts: readonly string[]) => void,
  onTrouble: (cause: unknown) => void,
): Promise<WatchedFiles> {
  const read = (): Promise<string[]> => Promise.all(paths.map((path) => readFile(path, "utf8")));
  let texts = await read();
  let closed = false;
  let quiet: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    try {
      const now = await read();
      if (closed || now.every((text, at) => text === texts[at])) return;
      onChange(now);
      texts = now;
    } catch (cause) {
      if (!closed) onTrouble(cause);
    }
  }
  const soon = (): void => {
    clearTimeout(quiet);
    quiet = setTimeout(() => void look(), quietMs);
    quiet.unref();
  };
  const watchers = [...new Set(paths.map((path) => dirname(path)))].map((folder): FSWatcher => {
    const watcher = watch(folder, soon);
    watcher.on("error", onTrouble);
    watcher.unref();
    return watcher;
  });
  const poll = setInterval(() => void look(), pollMs);
  poll.unref();
  return {
    get texts() {
      return texts;
    },
    close() {
      closed = true;
      clearTimeout(quiet);
      clearInterval(poll);
      for (const watcher of watchers) watcher.close();
    },
  };
}
