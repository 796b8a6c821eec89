// Program: serves the disk of the image it runs in. Copied into other people's images, so it is one file and needs no package.
import { fileURLToPath } from "node:url";
import { additiveEnv, underRoot } from "../src/contract/paths.ts";
import { systemClock } from "../src/lib/clock.ts";
import { runProgram } from "../src/lib/run-program.ts";
import { copyRuntime } from "./copy.ts";
import { readFlags, usage, type ServerFlags } from "./flags.ts";
import { plainLog } from "./plain-log.ts";
import { runImageServer } from "./run.ts";
import { tellNode } from "./tell-node.ts";

/** Go's status for flags that cannot be read. */
const usageExit = 2;

function flagsOrUsage(): ServerFlags | undefined {
  try {
    return readFlags(process.argv.slice(2));
  } catch (cause) {
    process.stderr.write(`${(cause as Error).message}\n${usage}`);
    return undefined;
  }
}

/** The libraries of this very process, whatever distribution it runs on. */
function loadedLibraries(): string[] {
  // Or the report looks up a name for each socket.
  Object.assign(process.report, { excludeNetwork: true });
  return (process.report.getReport() as { sharedObjects?: string[] }).sharedObjects ?? [];
}

await runProgram(async (signal) => {
  const flags = flagsOrUsage();
  if (!flags) return usageExit;
  if (flags.asksHelp) {
    process.stderr.write(usage);
    return 0;
  }
  const log = plainLog(
    (line) => process.stderr.write(line),
    () => systemClock.now(),
    { name: "cdi-containerimage-server" },
  );
  if (flags.copyTo === undefined) {
    return await runImageServer({ flags, env: process.env, clock: systemClock, log, signal });
  }
  const to = underRoot(process.env[additiveEnv.root] ?? "", flags.copyTo);
  log.info("Copying the server", { to });
  const program = fileURLToPath(import.meta.url);
  try {
    await copyRuntime({ executable: process.execPath, loaded: loadedLibraries(), program }, to);
    return 0;
  } catch (cause) {
    log.error("Copying failed", { error: cause });
    await tellNode(`the image server could not be copied to ${to}: ${(cause as Error).message}`, process.env, log);
    return 1;
  }
});
