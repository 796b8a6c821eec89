// The command line's frame: the visible list of verbs, and what happens with a call it cannot read.
import { Command, CommanderError } from "commander";
import { version } from "../lib/version.ts";
import { importVerb } from "./import.ts";
import { inspectVerb } from "./inspect.ts";
import { formAskedFor, tellFailure } from "./output.ts";
import type { Surroundings, Verb } from "./surroundings.ts";
import { upVerb } from "./up.ts";
import { uploadVerb } from "./upload.ts";

/** Every verb, in the order help shows them. */
const verbs: readonly Verb[] = [upVerb, importVerb, uploadVerb, inspectVerb];

/** @param args without the program's own name @returns the exit status */
export async function runCommandLine(args: readonly string[], given: Omit<Surroundings, "endWith">): Promise<number> {
  let exit = 0;
  const surroundings: Surroundings = { ...given, endWith: (status) => void (exit = status) };
  const program = new Command("cdi")
    .description("Turns disk images into filled volumes.")
    .version(version, "--version")
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void given.stdout.write(text),
      writeErr: () => undefined,
    });
  // Commander hands these settings down to verbs made by program.command().
  for (const register of verbs) register(program, surroundings);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (cause) {
    if (cause instanceof CommanderError && cause.exitCode === 0) return 0;
    if (args.length === 0) given.stderr.write(program.helpInformation());
    tellFailure(
      args.length === 0 ? new CommanderError(2, "cdi.noVerb", "a verb is missing") : cause,
      formAskedFor(args),
      surroundings,
    );
  }
  return exit;
}
