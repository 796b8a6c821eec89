// Writes the termination log, the one line by which a data pod tells its controller how it ended.
import { writeFile } from "node:fs/promises";
import type { Log } from "../lib/log.ts";
import { additiveEnv, podPaths, underRoot } from "./paths.ts";

export interface Ending {
  readonly exit: number;
  /** For the termination log; undefined writes none. */
  readonly message?: string;
}

/**
 * Writes the ending's message, if it has one. @returns the exit status: the ending's, or 1 where a message that decides
 * the claim's fate could not be written.
 */
export async function writeEnding(
  { exit, message }: Ending,
  env: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<number> {
  log.info("Ending", { exit, ...(message === undefined ? {} : { message }) });
  if (message === undefined) return exit;
  const path = underRoot(env[additiveEnv.root] ?? "", podPaths.terminationLog);
  try {
    await writeFile(path, message, { mode: 0o600 });
    return exit;
  } catch (cause) {
    log.error("Failed to write the termination log", { path, error: cause });
    // Exit 0 without its JSON would be taken for success, also where scratch is needed or the checksum is wrong.
    return exit === 0 ? 1 : exit;
  }
}
