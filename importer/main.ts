// Program: the importer pod's container. The one place of this program that reads the process's environment.
import { runProgram } from "../src/lib/run-program.ts";
import { version } from "../src/lib/version.ts";
import { readArguments } from "../src/lib/pod-arguments.ts";
import { tellServer } from "./node-pull/index.ts";
import { runImporter } from "./run.ts";
import { writeEnding } from "../src/contract/termination-log.ts";

const { verbosity, unknown, asksVersion } = readArguments(process.argv.slice(2));
await runProgram(async (signal) => {
  if (asksVersion) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const { makeLog } = await import("../src/telemetry/index.ts");
  const log = makeLog({ name: "cdi-importer", verbosity });
  if (unknown.length > 0) log.warn("Ignoring unknown arguments", { arguments: unknown });
  const ending = await runImporter({ env: process.env, log, signal });
  return await tellServer(await writeEnding(ending, process.env, log), process.env, log);
});
