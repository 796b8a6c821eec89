// How the command line says results and faults: text for people, one JSON object on stdout's last line for programs.
import { CommanderError } from "commander";
import { Cancelled } from "../lib/run-program.ts";
import { Fault, faultOf } from "../lib/faults.ts";
import { parseQuantity } from "../lib/quantity.ts";
import { remediesHere } from "./remedies.ts";
import type { Surroundings } from "./surroundings.ts";

export type OutputForm = "text" | "json";

/** A wrong call: flags or arguments. Exit status 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}
const usageExit = 2;
const usageRemedy = "Run cdi --help, or cdi <verb> --help, for the words it takes.";

export interface Failure {
  readonly ok: false;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly retryable: boolean;
}

/** @returns the object printed with `--output json`, and the exit status */
export function failureOf(error: unknown, signal?: AbortSignal): { failure: Failure; exit: number } {
  if (error instanceof UsageError || error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "");
    const failure = { ok: false, code: "ConfigInvalid", message, remedy: usageRemedy, retryable: false } as const;
    return { failure, exit: usageExit };
  }
  if (signal?.reason instanceof Cancelled) {
    const fault = new Fault("Unclassified", signal.reason.message);
    const remedy = "Run the same command again: an import starts over, an upload goes on where it stopped.";
    return {
      failure: { ok: false, code: fault.code, message: fault.message, remedy, retryable: true },
      exit: fault.row.exit,
    };
  }
  const fault = faultOf(error);
  const { code, message, row, retryable } = fault;
  return { failure: { ok: false, code, message, remedy: remediesHere[code] ?? row.remedy, retryable }, exit: row.exit };
}

/** Writes the failure in the form asked for and says the exit status. */
export function tellFailure(error: unknown, form: OutputForm, { stdout, stderr, signal, endWith }: Surroundings): void {
  const { failure, exit } = failureOf(error, signal);
  if (form === "json") stdout.write(`${JSON.stringify(failure)}\n`);
  else stderr.write(`cdi: ${failure.message}\n  code: ${failure.code}\n  remedy: ${failure.remedy}\n`);
  endWith(exit);
}

/** Runs a verb's work; its failure is told in the form asked for. */
export async function telling(form: OutputForm, at: Surroundings, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    tellFailure(cause, form, at);
  }
}

/** `--output`'s value. @throws UsageError */
export function outputForm(text: string): OutputForm {
  if (text === "text" || text === "json") return text;
  throw new UsageError(`--output takes text or json, not ${JSON.stringify(text)}`);
}

/** The form asked for on a command line too wrong to be parsed. */
export function formAskedFor(args: readonly string[]): OutputForm {
  const asked = args.some(
    (arg, index) => arg === "--output=json" || (arg === "--output" && args[index + 1] === "json"),
  );
  return asked ? "json" : "text";
}

/** `--size`'s value, bytes. @throws UsageError */
export function sizeFlag(text: string): number {
  const bytes = parseQuantity(text);
  if (bytes === undefined || bytes <= 0)
    throw new UsageError(`--size takes a quantity such as 10Gi, not ${JSON.stringify(text)}`);
  return bytes;
}
