// Tells the image server that it may end, once the importer will not be started again.
import { writeFile } from "node:fs/promises";
import { importerEnv } from "../../src/contract/importer-env.ts";
import { additiveEnv, underRoot } from "../../src/contract/paths.ts";
import { scratchNeededExitOld } from "../../src/contract/termination.ts";
import type { Log } from "../../src/lib/log.ts";

/**
 * Makes the done file for an exit after which the kubelet lets the importer rest. After any other it is started again and
 * needs the server, which would not come back: it ended well. @returns the exit status: 1 where the file cannot be made
 */
export async function tellServer(
  exit: number,
  env: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<number> {
  const told = env[importerEnv.variables.doneFile.name];
  if (!told || (exit !== 0 && exit !== scratchNeededExitOld)) return exit;
  const path = underRoot(env[additiveEnv.root] ?? "", told);
  try {
    // An earlier run's is as good.
    await writeFile(path, "", { mode: 0o600 });
    return exit;
  } catch (cause) {
    log.error("Failed to tell the image server of the end", { path, error: cause });
    return exit === 0 ? 1 : exit;
  }
}
