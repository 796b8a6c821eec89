// Program: serves the disk of the image it runs in. Copied into other people's images, so it is one file and needs no package.
import { fileURLToPath } from "node:url";
import { systemClock } from "../src/lib/clock.ts";
import { runProgram } from "../src/lib/run-program.ts";
import { copyRuntime } from "./copy.ts";
import { readFlags, usage, type ServerFlags } from "./flags.ts";
import { plainLog } from "./plain-log.ts";
import { runImageServer } from "./run.ts";

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
  log.info("Copying the server", { to: flags.copyTo });
  const program = fileURLToPath(import.meta.url);
  await copyRuntime({ executable: process.execPath, loaded: loadedLibraries(), program }, flags.copyTo);
  return 0;
});
