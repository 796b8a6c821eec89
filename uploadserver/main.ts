// Program: the upload pod's container. The one place of this program that reads the process's environment.
import { writeEnding } from "../src/contract/termination-log.ts";
import { readArguments } from "../src/lib/pod-arguments.ts";
import { runProgram } from "../src/lib/run-program.ts";
import { version } from "../src/lib/version.ts";
import { runUploadServer } from "./run.ts";

const { verbosity, unknown, asksVersion } = readArguments(process.argv.slice(2));
await runProgram(async (signal) => {
  if (asksVersion) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const { makeLog } = await import("../src/telemetry/index.ts");
  const log = makeLog({ name: "cdi-uploadserver", verbosity });
  if (unknown.length > 0) log.warn("Ignoring unknown arguments", { arguments: unknown });
  const ending = await runUploadServer({ env: process.env, log, signal });
  return await writeEnding(ending, process.env, log);
});
