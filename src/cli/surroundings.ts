// What a verb is given: where to write, when to stop, and how it says its exit status.
import type { Command } from "commander";

export interface Surroundings {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Says the exit status of the run; 0 when nobody says one. */
  readonly endWith: (status: number) => void;
}

/** Registers one verb on the program. */
export type Verb = (program: Command, surroundings: Surroundings) => void;
