// The last words of a container for its node: the file it has put there for them, which kubectl describe shows.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { additiveEnv, podPaths, underRoot } from "../src/contract/paths.ts";
import { oneTerminationLine } from "../src/contract/termination.ts";
import type { Log } from "../src/lib/log.ts";

/** Where there is no pod there is no such file, and none is made. */
export async function tellNode(
  message: string,
  env: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<void> {
  const path = underRoot(env[additiveEnv.root] ?? "", podPaths.terminationLog);
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_TRUNC);
    try {
      await file.writeFile(oneTerminationLine(message));
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    log.warn("Failed to write the termination log", { path, error: cause });
  }
}
