// Program: the command line.
import { runProgram } from "../lib/run-program.ts";
import { runCommandLine } from "./program.ts";

const { env, stdout, stderr } = process;
await runProgram((signal) => runCommandLine(process.argv.slice(2), { env, stdout, stderr, signal }));
